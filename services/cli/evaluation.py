"""`slmfleet evaluate`, `bench` and `compare`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from slmfleet.models.errors import SettingsFault
from slmfleet.services.cli.options import FleetOption, JsonOption, report_errors
from slmfleet.services.cli.progress_bars import bars
from slmfleet.services.settings import load_settings

#: The value of --suite that means the fleet as it is, not a published data set.
SHOP = "shop"


def add_to(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command()(evaluate)
    app.command()(bench)
    app.command()(compare)


def evaluate(
    fleet: FleetOption = None,
    as_json: JsonOption = False,
    suite: Annotated[
        str | None,
        typer.Option(help="Train and measure on a published data set instead (needs the extra `train`)."),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Trainings per suite, each with its own seed.")] = 3,
    report: Annotated[
        Path | None, typer.Option(help="Folder for a suite's results.json, page and plots.")
    ] = None,
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="Train anew although runs of this trainer are stored."),
    ] = False,
) -> None:
    """Measure the router and every specialist on rows they were never trained on."""
    with report_errors("train"):
        settings = load_settings(fleet_dir=fleet)
        if suite not in (None, SHOP):
            from slmfleet.models.benchmarks.checkpoints import RunStore
            from slmfleet.models.benchmarks.run import evaluate_suite, show_suite
            from slmfleet.services.evaluation.corpus import require_suites

            require_suites()
            runs = RunStore(settings.state_dir / "suites", fresh)
            with bars() as bar:
                found = evaluate_suite(
                    suite, seeds, settings.fleet_dir, settings.state_dir / "training", bar, runs=runs
                )
            show_suite(found, as_json, report)
            return
        if report is not None:
            raise SettingsFault("--report keeps the results of a published data set: name one with --suite")
        from slmfleet.services.evaluation.fleet import evaluation
        from slmfleet.services.evaluation.report import render

        with bars() as bar:
            result = evaluation(settings, bar("rows"))
        if as_json:
            print(result.model_dump_json(indent=2))
        else:
            console = _console()
            for part in render(result):
                console.print(part)


def bench(
    url: Annotated[str, typer.Option(help="URL of a served fleet.")] = "http://127.0.0.1:8080",
    connections: Annotated[int, typer.Option(min=1, max=256, help="Concurrent connections.")] = 1,
    models: Annotated[
        bool, typer.Option("--models", help="Time router and specialists in one thread, without a server.")
    ] = False,
    fleet: FleetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Post the test texts to a served fleet: statuses, latency, throughput."""
    from slmfleet.models.fleet.loading import load_fleet
    from slmfleet.services.evaluation.bench import load as load_bench
    from slmfleet.services.evaluation.bench import models as model_bench
    from slmfleet.services.evaluation.corpus import load_rows

    with report_errors():
        settings = load_settings(fleet_dir=fleet)
        loaded = load_fleet(settings.fleet_dir)
        texts = load_bench.bench_texts(load_rows(loaded))
        if models:
            with bars(auto_refresh=False) as bar:
                times = model_bench.model_times(loaded, texts, bar("texts"))
            print(times.model_dump_json(indent=2) if as_json else model_bench.render(times))
            return
        result = load_bench.bench(url, texts, connections, next(iter(settings.api_key_set()), None))
        print(result.model_dump_json(indent=2) if as_json else load_bench.render(result))


def compare(
    baseline: Annotated[
        str, typer.Argument(help="A .gguf file, a Hugging Face folder, or the URL of an OpenAI-style server.")
    ],
    questions: Annotated[int, typer.Option(min=2, help="Test questions; a quarter out of scope.")] = 80,
    seed: Annotated[int, typer.Option(help="Seed of the sample of questions.")] = 0,
    right_passage: Annotated[
        bool, typer.Option("--right-passage", help="Put the right passage into every prompt of the baseline.")
    ] = False,
    threads: Annotated[int, typer.Option(min=1, help="Threads of a baseline in this process.")] = 1,
    max_tokens: Annotated[int, typer.Option(min=1, help="Most tokens of a baseline's answer.")] = 160,
    model: Annotated[
        str | None, typer.Option(help="The model to ask at a URL; by default the first it lists.")
    ] = None,
    price_core_hour: Annotated[float | None, typer.Option(min=0, help="Price of a core-hour.")] = None,
    price_read: Annotated[
        float | None, typer.Option(min=0, help="Price of 1 M prompt tokens at the URL.")
    ] = None,
    price_written: Annotated[
        float | None, typer.Option(min=0, help="Price of 1 M completion tokens at the URL.")
    ] = None,
    samples: Annotated[int, typer.Option(min=0, help="Show both answers to this many questions.")] = 0,
    fleet: FleetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare the fleet with a larger model: accuracy, time, CPU, memory, cost."""
    with report_errors("compare"):
        from slmfleet.services.evaluation.compare.open_baseline import open_baseline
        from slmfleet.services.evaluation.compare.options import CompareOptions, Prices
        from slmfleet.services.evaluation.compare.report import render
        from slmfleet.services.evaluation.compare.run import compare as run_comparison

        settings = load_settings(fleet_dir=fleet, price_core_hour=price_core_hour)
        options = CompareOptions(
            questions=questions,
            seed=seed,
            max_tokens=max_tokens,
            right_passage=right_passage,
            prices=Prices(settings.price_core_hour, price_read, price_written),
        )
        with bars(auto_refresh=False) as bar:
            result = run_comparison(
                settings,
                lambda: open_baseline(baseline, settings, threads, model),
                options,
                progress=bar("questions"),
            )
        if as_json:
            print(result.model_dump_json(indent=2))
        else:
            _console().print(render(result, samples))


def _console() -> Console:
    """Standard output, 80 columns wide where it is no terminal."""
    return Console(width=None if sys.stdout.isatty() else 80, highlight=False)
