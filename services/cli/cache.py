"""`slmfleet cache`: show evict measure bench."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from slmfleet.models.errors import SettingsFault
from slmfleet.models.progress import counted
from slmfleet.services.cli.options import FleetOption, JsonOption, report_errors
from slmfleet.services.cli.progress_bars import bars
from slmfleet.services.settings import load_settings

app = typer.Typer(help="What is kept of answers: look, have it forgotten, measure.", no_args_is_help=True)


@app.command()
def show(fleet: FleetOption = None, as_json: JsonOption = False) -> None:
    """Entries and hits by domain, and the memory they take."""
    from slmfleet.services.state import cache_admin as cache_contents

    with report_errors():
        contents = cache_contents.show(load_settings(fleet_dir=fleet))
        print(contents.model_dump_json(indent=2) if as_json else cache_contents.render(contents))


@app.command()
def evict(
    domain: Annotated[str | None, typer.Option(help="Answers that quote this domain's knowledge.")] = None,
    text: Annotated[str | None, typer.Option(help="Answers to these words.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every answer.")] = False,
    fleet: FleetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have answers forgotten, by every replica."""
    from slmfleet.services.state import cache_admin as cache_contents

    with report_errors():
        if everything == (domain is not None or text is not None):
            raise SettingsFault("say what is to be forgotten: --domain, --text or both; or --all")
        count = cache_contents.evict(load_settings(fleet_dir=fleet), domain, text)
        print(json.dumps({"evicted": count}) if as_json else f"{count} answers are forgotten")


@app.command()
def measure(
    pairs: Annotated[int, typer.Option(min=6, help="Pairs of questions to ask.")] = 6_000,
    fleet: FleetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask pairs of questions that a cache must tell apart, and paraphrases: wrong hits, and hit rates."""
    from slmfleet.services.evaluation.bench import cache_correctness as cache_measure

    with report_errors(), bars() as bar:
        result = cache_measure.measure(load_settings(fleet_dir=fleet), pairs, counted(bar("asking"), pairs))
    print(result.model_dump_json(indent=2) if as_json else cache_measure.printed(result))
    if result.wrong:
        raise typer.Exit(1)


@app.command()
def bench(
    url: Annotated[str, typer.Option(help="A fleet that is being served.")] = "http://127.0.0.1:8080",
    requests: Annotated[int, typer.Option(min=100, help="Requests of each kind.")] = 2_000,
    fleet: FleetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Time a kept answer against a route that does nothing, and queries whose cache's server is down."""
    from slmfleet.services.evaluation.bench import cache as cache_bench

    with report_errors(), bars() as bar:
        tick = counted(bar("asking"), requests + requests // 2)
        result = cache_bench.bench(load_settings(fleet_dir=fleet), url, requests, tick)
    print(result.model_dump_json(indent=2) if as_json else cache_bench.printed(result))
