"""`slmfleet consume`, `publish` and `dead`. What they do is in services/events, imported when needed."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from slmfleet.models.errors import SettingsFault, Unreachable
from slmfleet.services.cli.options import FleetOption, JsonOption, report_errors, stderr
from slmfleet.services.settings import load_settings

if TYPE_CHECKING:
    from slmfleet.services.events.dead_letters import DeadLetter

_TOKEN = re.compile(r'"token"\s*:\s*"[^"]*"')
_MASKED = '"token": "..."'
GATEWAY = "http://127.0.0.1:8080"

BrokerOption = Annotated[
    str | None,
    typer.Option("--broker", help="redis://, amqp:// or nats:// URL; by default that of `slmfleet up`."),
]
LetterArgument = Annotated[str, typer.Argument(help="Id of a dead letter, or its first characters.")]
dead = typer.Typer(help="Dead letters: events that could not be processed.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command()(consume)
    app.command()(publish)
    app.add_typer(dead, name="dead")


def consume(
    broker: BrokerOption = None,
    gateway: Annotated[str, typer.Option(help="URL of the gateway that answers.")] = GATEWAY,
    in_process: Annotated[bool, typer.Option("--in-process", help="Answer here, without a gateway.")] = False,
    host: Annotated[str, typer.Option(help="Address of the health pages.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the health pages.")] = 8081,
    document: Annotated[
        bool, typer.Option("--asyncapi", help="Print the AsyncAPI document and exit.")
    ] = False,
    fleet: FleetOption = None,
) -> None:
    """Answer questions that arrive as events, until interrupted.

    Exit code 0: stopped by a signal; 1: to be restarted; 2: a wrong setting.
    """
    with report_errors("events"):
        from slmfleet.services.events import consumer
        from slmfleet.services.events.asyncapi import asyncapi
        from slmfleet.services.events.brokers.registry import transport_for
        from slmfleet.services.events.consume import consume as run

        settings = load_settings(fleet_dir=fleet, broker_url=broker)
        if document:
            given = settings.broker_url
            url = given.get_secret_value() if given else "redis://127.0.0.1:6379"
            print(json.dumps(asyncapi(transport_for(url, settings)), indent=2))
            return
        try:
            code = run(
                settings, None if in_process else gateway, host, port, lambda line: print(line, flush=True)
            )
        except Unreachable as error:
            stderr.print(str(error), markup=False, style="red")
            code = consumer.RESTART
        print("finished what was in hand" if code == consumer.STOPPED else "stopped", flush=True)
        raise typer.Exit(code)


def publish(
    text: Annotated[str | None, typer.Argument(help="A question in a customer's words.")] = None,
    knowledge: Annotated[str | None, typer.Option(help="Announce that this domain's policy changed.")] = None,
    order: Annotated[str | None, typer.Option(help="Announce that this order changed.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the answer and print it.")] = False,
    timeout_s: Annotated[float, typer.Option("--timeout", help="Most seconds to wait.")] = 30.0,
    token: Annotated[str | None, typer.Option(help="Customer token (slmfleet token CUSTOMER).")] = None,
    session: Annotated[str | None, typer.Option(help="Session id, for follow-ups.")] = None,
    event_id: Annotated[
        str | None, typer.Option("--id", help="Id of the event; by default a new one.")
    ] = None,
    source: Annotated[str, typer.Option(help="Source of the event.")] = "slmfleet/cli",
    traceparent: Annotated[str | None, typer.Option(help="W3C trace context.")] = None,
    broker: BrokerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Publish a question, or the news of a change, as an event."""
    from slmfleet.services.cli.render import render_answer

    with report_errors("events"):
        from slmfleet.services.events import cloudevents as events
        from slmfleet.services.events import publisher
        from slmfleet.services.events.connection import run_connected
        from slmfleet.services.events.dead_letters import DeadLetter
        from slmfleet.services.validation import validate

        if [text, knowledge, order].count(None) != 2:
            raise SettingsFault("publish a question, or --knowledge DOMAIN, or --order ID: one of them")
        attributes = {"source": source, "id": event_id, "traceparent": traceparent}
        given = {name: value for name, value in attributes.items() if value is not None}
        settings = load_settings(broker_url=broker)
        if text is None:
            if knowledge is not None:
                change = events.make_event(events.KNOWLEDGE_CHANGED, {"domain": knowledge}, **given)
                events.data_of(change, events.KnowledgeChangedData)
            else:
                change = events.make_event(events.ORDER_CHANGED, {"order_id": order}, **given)
                events.data_of(change, events.OrderChangedData)
            run_connected(settings, lambda at: publisher.publish(at.transport, change))
            _print_published(events.STREAM_OF[change.get_type()], change.get_id(), as_json)
            return
        data = {"text": text, "token": token, "session_id": session}
        query = validate(events.QueryData, {name: value for name, value in data.items() if value is not None})
        event = events.make_event(events.QUERY_RECEIVED, query, **given)
        if not wait:
            run_connected(settings, lambda at: publisher.publish(at.transport, event))
            _print_published(events.QUERIES, event.get_id(), as_json)
            return
        outcome = run_connected(settings, lambda at: publisher.ask(at.transport, at.dead, event, timeout_s))
    if outcome is None:
        stderr.print(f"no answer within {timeout_s:g} s; is `slmfleet consume` running?", style="red")
        raise typer.Exit(1)
    if isinstance(outcome, DeadLetter):
        print(outcome.model_dump_json(indent=2) if as_json else _render_letter(outcome))
        raise typer.Exit(1)
    if as_json:
        print(outcome.model_dump_json(indent=2, exclude_none=True))
    else:
        Console(highlight=False).print(render_answer(outcome.answer))


def _print_published(stream: str, event_id: str, as_json: bool) -> None:
    print(json.dumps({"stream": stream, "id": event_id}) if as_json else f"{event_id} is on {stream}")


@dead.command("list")
def list_letters(broker: BrokerOption = None, as_json: JsonOption = False) -> None:
    """List every dead letter and its reason."""
    with report_errors("events"):
        from slmfleet.services.events.connection import run_connected

        letters = run_connected(load_settings(broker_url=broker), lambda at: at.dead.all())
    if as_json:
        print(json.dumps([letter.model_dump(mode="json") for letter in letters], indent=2))
        return
    if not letters:
        print("no dead letters")
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("id", "died", "reason"):
        table.add_column(column, no_wrap=True)
    table.add_column("why")
    for letter in letters:
        table.add_row(
            letter.id[:8], letter.died_at[:19].replace("T", " "), letter.died.reason, letter.died.detail
        )
    Console(width=None if sys.stdout.isatty() else 80, highlight=False).print(table)


@dead.command()
def show(letter: LetterArgument, broker: BrokerOption = None, as_json: JsonOption = False) -> None:
    """Show a dead letter with its event as it was received."""
    with report_errors("events"):
        from slmfleet.services.events.connection import run_connected

        found = run_connected(load_settings(broker_url=broker), lambda at: at.dead.get(letter))
    print(found.model_dump_json(indent=2) if as_json else _render_letter(found))


@dead.command()
def replay(
    letters: Annotated[
        list[str] | None, typer.Argument(help="Ids of dead letters, or their first characters.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every dead letter that can be read.")] = False,
    broker: BrokerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Publish dead events again, unchanged, and remove their letters."""
    with report_errors("events"):
        from slmfleet.services.events import publisher
        from slmfleet.services.events.connection import run_connected

        if bool(letters) == everything:
            raise SettingsFault("name the dead letters to replay, or say --all")
        settings = load_settings(broker_url=broker)
        replayed, refused = run_connected(settings, lambda at: publisher.replay(at, letters or None))
    if as_json:
        print(json.dumps({"replayed": replayed, "refused": refused}, indent=2))
    else:
        print(f"{len(replayed)} replayed")
        for why in refused.values():
            stderr.print(why, markup=False, style="red")
    if refused:
        raise typer.Exit(1)


def _render_letter(letter: DeadLetter) -> str:
    died = letter.died
    tries = f", {died.attempts} attempts" if died.attempts else ""
    return (
        f"{letter.id}  died {letter.died_at}{tries}\n{died.reason}: {died.detail}\n"
        f"on {died.stream}, as it came"
        f"{' (base64)' if died.encoding == 'base64' else ''}:\n{_TOKEN.sub(_MASKED, died.body)}"
    )
