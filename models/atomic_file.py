"""A file that others find whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to: at the end of the block what lies there takes the place of `path`.

    Who reads `path` meanwhile reads what was there before. After an error nothing is left of the new.
    """
    fresh = path.with_name(f".{os.getpid()}.{path.name}")  # its own in each process; the suffix is kept
    fresh.unlink(missing_ok=True)
    try:
        yield fresh
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
