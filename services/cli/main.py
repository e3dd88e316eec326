"""The command `slmfleet`: up, ask, explain, train, check, token; the other groups are files of their own."""

from __future__ import annotations

from importlib import metadata
from typing import Annotated

import typer
from rich.console import Console

from slmfleet.models.errors import FleetFault
from slmfleet.services.cli import cache, evaluation, events
from slmfleet.services.cli.options import FleetOption, JsonOption, report_errors, stderr
from slmfleet.services.settings import load_settings

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
TokenOption = Annotated[str | None, typer.Option(help="Customer token (slmfleet token CUSTOMER).")]


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"slmfleet {metadata.version('slmfleet')}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """A fleet of small specialist language models that answers a retailer's customers."""


@app.command()
def up(
    fleet: FleetOption = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    placement: Annotated[
        str | None,
        typer.Option(help="colocated (no network hop) or split (a Ray Serve deployment per specialist)."),
    ] = None,
    redis: Annotated[
        str | None, typer.Option(help="URL of the cache's Redis or Valkey; without it, an embedded one.")
    ] = None,
    broker: Annotated[
        str | None, typer.Option(help="URL of the event broker; without it, an embedded Valkey.")
    ] = None,
) -> None:
    """Serve the fleet on this machine until interrupted."""
    with report_errors("serve"):
        from slmfleet.services.serve.up import serve_fleet

        settings = load_settings(
            fleet_dir=fleet, host=host, port=port, placement=placement, redis_url=redis, broker_url=broker
        )
        serve_fleet(settings, lambda line: print(line, flush=True))


@app.command()
def ask(
    text: Annotated[
        list[str], typer.Argument(help="A question in a customer's words; further ones are follow-ups.")
    ],
    fleet: FleetOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answer a question, or a conversation of several, in this process."""
    from slmfleet.services.cli.ask import converse_locally
    from slmfleet.services.cli.render import render_answer

    with report_errors():
        bodies = converse_locally(load_settings(fleet_dir=fleet), text, token)
    if as_json:
        documents = [body.model_dump_json(indent=2) for body in bodies]
        print(documents[0] if len(documents) == 1 else "[\n" + ",\n".join(documents) + "\n]")
        return
    console = Console(highlight=False)
    for question, body in zip(text, bodies, strict=True):
        if len(text) > 1:
            console.print(f"> {question}", markup=False)
        console.print(render_answer(body))


@app.command()
def explain(
    text: Annotated[str, typer.Argument(help="A question in a customer's words.")],
    fleet: FleetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Explain a decision: the words that count, what would flip it, the nearest training rows."""
    from slmfleet.services.cli.ask import ask_locally
    from slmfleet.services.cli.render import render_explanations

    with report_errors():
        explanation = ask_locally(load_settings(fleet_dir=fleet), text, None, explain=True).explanation
        assert explanation is not None
        if as_json:
            print(explanation.model_dump_json(indent=2))
        else:
            Console(highlight=False).print(render_explanations(explanation))


@app.command()
def train(
    domain: Annotated[
        str | None, typer.Argument(help="A domain, or `router`; without it, the whole fleet.")
    ] = None,
    fleet: FleetOption = None,
) -> None:
    """Train specialists and router from utterances and knowledge (needs the extra `train`)."""
    with report_errors("train"):
        from slmfleet.services.cli.train import train_fleet

        settings = load_settings(fleet_dir=fleet)
        train_fleet(settings.fleet_dir, settings.state_dir / "training", domain)


@app.command()
def check(fleet: FleetOption = None) -> None:
    """Check a fleet's folder: faults with file and line, and what is still to be done."""
    from slmfleet.services.cli.check import check_fleet

    with report_errors():
        try:
            checked = check_fleet(load_settings(fleet_dir=fleet).fleet_dir)
        except FleetFault as error:
            for fault in error.faults:
                stderr.print(str(fault), markup=False)
            stderr.print(f"{len(error.faults)} fault{'s' if len(error.faults) > 1 else ''}", style="red")
            raise typer.Exit(2) from None
    print(checked.render())


@app.command()
def token(
    customer: Annotated[str, typer.Argument(help="A customer id, such as noah_brown_6181.")],
    fleet: FleetOption = None,
) -> None:
    """Print a signed customer token of the demonstration issuer."""
    from slmfleet.services.pipeline.default_factory import DefaultFactory

    with report_errors():
        print(DefaultFactory().token_for(load_settings(fleet_dir=fleet), customer))


evaluation.add_to(app)
app.add_typer(cache.app, name="cache")
events.add_to(app)
