"""One command, `slmfleet`: up ask explain train evaluate bench compare check token cache consume dead ..."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from slmfleet.models.errors import FleetFault, SettingsFault, SlmfleetError
from slmfleet.services.cli import cache as cache_cli
from slmfleet.services.cli import events as cli_events
from slmfleet.services.cli.options import FleetOption, JsonOption, report_errors, stderr
from slmfleet.services.cli.progress_bars import bars
from slmfleet.services.settings import Settings, load_settings

app = typer.Typer(
    help="A fleet of small specialist language models that answers a retailer's customers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(cache_cli.app, name="cache")
#: The suite that is no published data set but the fleet as it is.
SHOP = "shop"


@app.command()
def up(
    fleet: FleetOption = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    placement: Annotated[
        str | None, typer.Option(help="colocated (no hop) or split (one Serve deployment a specialist).")
    ] = None,
    redis: Annotated[
        str | None, typer.Option(help="Redis or Valkey for the cache; starts its own without.")
    ] = None,
    broker: Annotated[
        str | None, typer.Option(help="Broker of the events; starts its own Valkey without.")
    ] = None,
) -> None:
    """Serve the fleet on this machine until interrupted."""
    from slmfleet.services.serve.up import serve_fleet

    with report_errors():
        settings = load_settings(
            fleet_dir=fleet, host=host, port=port, placement=placement, redis_url=redis, broker_url=broker
        )
        serve_fleet(settings, report=lambda line: print(line, flush=True))


@app.command()
def ask(
    text: Annotated[
        list[str], typer.Argument(help="The question, in a customer's words; more are its follow-ups.")
    ],
    fleet: FleetOption = None,
    token: Annotated[str | None, typer.Option(help="Customer token (slmfleet token CUSTOMER).")] = None,
    as_json: JsonOption = False,
) -> None:
    """Answer one question here, without a server, or several as one conversation."""
    from slmfleet.services.cli.ask import converse_locally
    from slmfleet.services.cli.render import render_answer

    with report_errors():
        bodies = converse_locally(load_settings(fleet_dir=fleet), text, token)
    if as_json:
        told = [body.model_dump_json(indent=2) for body in bodies]
        print(told[0] if len(told) == 1 else "[\n" + ",\n".join(told) + "\n]")
        return
    console = Console(highlight=False)
    for question, body in zip(text, bodies, strict=True):
        if len(text) > 1:
            console.print(f"> {question}", markup=False)
        console.print(render_answer(body))


@app.command()
def explain(
    text: Annotated[str, typer.Argument(help="The question, in a customer's words.")],
    fleet: FleetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Explain a decision: which words weigh, what would flip it, what it was learned from."""
    from slmfleet.services.cli.ask import ask_locally
    from slmfleet.services.cli.render import render_explanations

    with report_errors():
        told = ask_locally(load_settings(fleet_dir=fleet), text, None, explain=True).explanation
        assert told is not None
        if as_json:
            print(told.model_dump_json(indent=2))
        else:
            Console(highlight=False).print(render_explanations(told))


@app.command()
def train(
    domain: Annotated[
        str | None, typer.Argument(help="A domain, or `router`; the whole fleet without it.")
    ] = None,
    fleet: FleetOption = None,
) -> None:
    """Train specialists and router from utterances and knowledge (needs the extra `train`)."""
    with report_errors():
        settings = load_settings(fleet_dir=fleet)
        _training()(settings.fleet_dir, settings.state_dir / "training", domain)


@app.command()
def evaluate(
    fleet: FleetOption = None,
    as_json: JsonOption = False,
    suite: Annotated[
        str | None,
        typer.Option(help="Train and measure on a published data set instead; `shop` is the fleet itself."),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Trainings of a suite, each with its own seed.")] = 3,
    report: Annotated[
        Path | None, typer.Option(help="Folder for a suite's results.json, page and plots.")
    ] = None,
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="Train for a suite anew although runs of this trainer are stored."),
    ] = False,
) -> None:
    """Measure the router and every specialist on rows they were never trained on."""
    from slmfleet.services.evaluation.fleet import evaluation, tables

    with report_errors():
        settings = load_settings(fleet_dir=fleet)
        folder = settings.fleet_dir
        if suite not in (None, SHOP):
            from slmfleet.models.benchmarks.checkpoints import RunStore
            from slmfleet.models.benchmarks.run import evaluate_suite, show_suite

            cache = settings.state_dir / "training"
            runs = RunStore(settings.state_dir / "suites", fresh)
            with bars() as bar:
                found = evaluate_suite(suite, seeds, folder, cache, bar, runs=runs)
            show_suite(found, as_json, report)
            return
        if report is not None:
            raise SettingsFault("--report keeps the results of a published data set: name one with --suite")
        with bars() as bar:
            result = evaluation(folder, bar("rows"))
        if as_json:
            print(result.model_dump_json(indent=2))
        else:
            console = Console(width=80 if not sys.stdout.isatty() else None, highlight=False)
            for table in tables(result):
                console.print(table)


@app.command()
def bench(
    url: Annotated[str, typer.Option(help="A fleet that is being served.")] = "http://127.0.0.1:8080",
    connections: Annotated[int, typer.Option(min=1, max=256, help="Connections at once.")] = 1,
    models: Annotated[
        bool, typer.Option("--models", help="Time router and specialists in one thread, without a server.")
    ] = False,
    fleet: FleetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Post real shoppers' test texts to a served fleet: statuses, latency, throughput."""
    from slmfleet.models.fleet.loading import load_fleet
    from slmfleet.models.training.data import load_corpus
    from slmfleet.services.evaluation.bench import load as benching
    from slmfleet.services.evaluation.bench import models as bench_models

    with report_errors():
        settings = load_settings(fleet_dir=fleet)
        loaded = load_fleet(settings.fleet_dir)
        texts = benching.bench_texts(load_corpus(loaded))
        if models:
            with bars(auto_refresh=False) as bar:
                times = bench_models.model_times(loaded, texts, bar("texts"))
            print(times.model_dump_json(indent=2) if as_json else bench_models.printed(times))
            return
        result = benching.bench(url, texts, connections, next(iter(settings.api_key_set()), None))
        print(result.model_dump_json(indent=2) if as_json else benching.printed(result))


@app.command()
def compare(
    baseline: Annotated[
        str, typer.Argument(help="A .gguf file, a Hugging Face folder, or the URL of an OpenAI-style server.")
    ],
    questions: Annotated[int, typer.Option(min=2, help="Test questions; a quarter out of scope.")] = 80,
    seed: Annotated[int, typer.Option(help="Which questions are drawn.")] = 0,
    right_passage: Annotated[
        bool, typer.Option("--right-passage", help="Put the right passage into every prompt of the baseline.")
    ] = False,
    threads: Annotated[int, typer.Option(min=1, help="Threads of a baseline in this process.")] = 1,
    max_tokens: Annotated[int, typer.Option(min=1, help="Tokens that an answer may have.")] = 160,
    model: Annotated[str | None, typer.Option(help="Model to ask a URL for; its first by default.")] = None,
    price_core_hour: Annotated[float | None, typer.Option(min=0, help="Price of an hour of a core.")] = None,
    price_read: Annotated[float | None, typer.Option(min=0, help="A URL's price of 1 M tokens read.")] = None,
    price_written: Annotated[
        float | None, typer.Option(min=0, help="A URL's price of 1 M tokens written.")
    ] = None,
    samples: Annotated[int, typer.Option(min=0, help="Show both answers to the first so many.")] = 0,
    fleet: FleetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set the fleet beside a larger model, on the same questions: accuracy, time, CPU, memory, cost."""
    from slmfleet.services.evaluation.compare.open_baseline import open_baseline
    from slmfleet.services.evaluation.compare.report import Prices, printed
    from slmfleet.services.evaluation.compare.run import compare as compared

    with report_errors():
        settings = load_settings(fleet_dir=fleet, price_core_hour=price_core_hour)
        with bars(auto_refresh=False) as bar:
            result = compared(
                settings,
                lambda: open_baseline(baseline, settings, threads, model),
                questions,
                seed,
                max_tokens,
                right_passage,
                Prices(settings.price_core_hour, price_read, price_written),
                bar("questions"),
            )
        if as_json:
            print(result.model_dump_json(indent=2))
        else:
            width = 80 if not sys.stdout.isatty() else None
            Console(width=width, highlight=False).print(printed(result, samples))


@app.command()
def check(fleet: FleetOption = None) -> None:
    """Explain every fault of a fleet's folder, with file and line."""
    from slmfleet.models.fleet.loading import load_fleet
    from slmfleet.models.training.data import load_corpus
    from slmfleet.services.pipeline.default_factory import load_models

    settings = load_settings(fleet_dir=fleet)
    try:
        loaded = load_fleet(settings.fleet_dir)
        corpus = load_corpus(loaded)
        load_models(loaded)
    except FleetFault as error:
        for fault in error.faults:
            stderr.print(str(fault), markup=False)
        stderr.print(f"{len(error.faults)} fault{'s' if len(error.faults) > 1 else ''}", style="red")
        raise typer.Exit(2) from None
    except SlmfleetError as error:
        stderr.print(str(error), markup=False)
        raise typer.Exit(2) from None
    passages = sum(len(domain.passages) for domain in loaded.domains.values())
    intents = sum(len(domain.config.intents) for domain in loaded.domains.values())
    print(
        f"{loaded.config.retailer}: {len(loaded.domains)} domains, {intents} intents, {passages} passages, "
        f"{len(corpus.train)} training and {len(corpus.test)} test rows; every bundle passes its probe"
    )


@app.command()
def token(
    customer: Annotated[str, typer.Argument(help="A customer id, such as noah_brown_6181.")],
    fleet: FleetOption = None,
) -> None:
    """Print a signed customer token of the demonstration issuer."""
    from slmfleet.services.pipeline.default_factory import DefaultFactory

    with report_errors():
        settings: Settings = load_settings(fleet_dir=fleet)
        print(DefaultFactory().token_for(settings, customer))


def _training() -> Callable[[Path, Path, str | None], None]:
    try:
        from slmfleet.services.cli.train import train_fleet
    except ModuleNotFoundError as error:
        stderr.print(f"training needs {error.name}: install the extra with pip install 'slmfleet[train]'")
        raise typer.Exit(2) from None
    return train_fleet


cli_events.add_to(app)
