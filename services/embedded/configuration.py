"""The two embedded servers and their configuration: a cache that may forget, a broker that may not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

Name = Literal["cache", "broker"]
NAMES: Final[tuple[Name, ...]] = ("cache", "broker")

_COMMON: Final = "bind 127.0.0.1\nprotected-mode yes\ndaemonize no\nloglevel warning\ntcp-keepalive 60\n"
_OWN: Final[Mapping[Name, str]] = {
    "cache": 'maxmemory 128mb\nmaxmemory-policy allkeys-lfu\nsave ""\nappendonly no\n',
    # What was acknowledged is on disk. With `everysec` it is not always even in the kernel's buffers: while
    # an fsync is under way Valkey postpones the next write, and acknowledges all the same.
    "broker": 'maxmemory-policy noeviction\nsave ""\nappendonly yes\nappendfsync always\n',
}


def configuration(name: Name, folder: Path, port: int, password: str) -> str:
    """The configuration of the server `name` with its data and log in `folder`, in Valkey's format."""
    return (
        f"port {port}\nrequirepass {password}\ndir {_quoted(folder / name)}\n"
        f"logfile {_quoted(folder / f'{name}.log')}\n" + _COMMON + _OWN[name]
    )


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
