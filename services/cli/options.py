"""What the commands share: options, the console for errors, and how errors are reported."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from slmfleet.models.errors import SlmfleetError
from slmfleet.models.extras import install_hint

FleetOption = Annotated[
    Path | None, typer.Option("--fleet", help="The retailer's folder; the demonstration shop by default.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
stderr = Console(stderr=True, soft_wrap=True, highlight=False)


@contextmanager
def report_errors(extra: str | None = None) -> Iterator[None]:
    """Report an error of slmfleet, or a library of a missing extra, in one message; exit code 2.

    `extra` is the command's own extra, named where several bring the library. Imports of libraries that only
    an extra brings belong inside the block. Other errors pass.
    """
    try:
        yield
    except SlmfleetError as error:
        _exit(str(error))
    except ModuleNotFoundError as error:
        hint = install_hint(error, extra)
        if hint is None:
            raise
        _exit(hint)


def _exit(message: str) -> None:
    # Without markup: rich would take the brackets of an extra for a style.
    stderr.print(message, markup=False, style="red")
    raise typer.Exit(2)
