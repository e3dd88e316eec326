"""Replacing a file atomically: readers find the old content or the new, never a part."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`: at the end of the block the file there replaces `path`.

    After an error the temporary file is removed and `path` is unchanged.
    """
    fresh = path.with_name(
        f".{os.getpid()}.{path.name}"
    )  # unique to this process; the suffix stays, as NumPy adds .npz to other names
    fresh.unlink(missing_ok=True)
    try:
        yield fresh
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
