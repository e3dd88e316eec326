"""`slmfleet cache`: show, evict, measure, bench."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from slmfleet.models.errors import SettingsFault
from slmfleet.models.progress import counted
from slmfleet.services.cli.options import FleetOption, JsonOption, report_errors
from slmfleet.services.cli.progress_bars import bars
from slmfleet.services.settings import load_settings

app = typer.Typer(help="The answer cache: show, evict, measure, bench.", no_args_is_help=True)


@app.command()
def show(fleet: FleetOption = None, as_json: JsonOption = False) -> None:
    """Show entries and hits per domain, and the memory they take."""
    with report_errors("serve"):
        from slmfleet.services.state import cache_admin

        contents = cache_admin.show(load_settings(fleet_dir=fleet))
        print(contents.model_dump_json(indent=2) if as_json else cache_admin.render(contents))


@app.command()
def evict(
    domain: Annotated[str | None, typer.Option(help="Answers that quote this domain's knowledge.")] = None,
    text: Annotated[str | None, typer.Option(help="Answers to this text.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every answer.")] = False,
    fleet: FleetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Evict answers, on every replica."""
    with report_errors("serve"):
        from slmfleet.services.state import cache_admin

        if everything == (domain is not None or text is not None):
            raise SettingsFault("say what to evict: --domain, --text or both; or --all")
        count = cache_admin.evict(load_settings(fleet_dir=fleet), domain, text)
        print(json.dumps({"evicted": count}) if as_json else f"{count} answers evicted")


@app.command()
def measure(
    pairs: Annotated[int, typer.Option(min=6, help="Pairs of questions to ask.")] = 6_000,
    fleet: FleetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask pairs of questions that a cache must distinguish: wrong hits, and hit rates."""
    with report_errors("serve"), bars() as bar:
        from slmfleet.services.evaluation.bench import cache_correctness

        tick = counted(bar("asking"), pairs)
        result = cache_correctness.measure(load_settings(fleet_dir=fleet), pairs, tick)
    print(result.model_dump_json(indent=2) if as_json else cache_correctness.render(result))
    if result.wrong:
        raise typer.Exit(1)


@app.command()
def bench(
    url: Annotated[str, typer.Option(help="URL of a served fleet.")] = "http://127.0.0.1:8080",
    requests: Annotated[int, typer.Option(min=100, help="Requests of each kind.")] = 2_000,
    fleet: FleetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Time a cache hit against a no-op route, and queries while the cache's server is down."""
    with report_errors("serve"), bars() as bar:
        from slmfleet.services.evaluation.bench import cache

        tick = counted(bar("asking"), requests + requests // 2)
        result = cache.bench(load_settings(fleet_dir=fleet), url, requests, tick)
    print(result.model_dump_json(indent=2) if as_json else cache.render(result))
