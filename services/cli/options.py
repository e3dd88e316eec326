"""What the commands have in common: their options, and how a fault is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from slmfleet.models.errors import SlmfleetError

FleetOption = Annotated[
    Path | None, typer.Option("--fleet", help="The retailer's folder; the demonstration shop by default.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
stderr = Console(stderr=True, soft_wrap=True, highlight=False)


@contextmanager
def report_errors() -> Iterator[None]:
    """A fault is told in its own words, without a traceback; exit code 2."""
    try:
        yield
    except SlmfleetError as error:
        stderr.print(str(error), markup=False, style="red")
        raise typer.Exit(2) from None
