"""Runs embedded servers for as long as a fleet is up, and starts again those that end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from slmfleet.models.errors import Unreachable
from slmfleet.services.embedded.configuration import Name
from slmfleet.services.embedded.valkey import READY_TIMEOUT_S, EmbeddedValkey

#: Between the end of a server and its next start: one that cannot stay up must not take all CPU time.
_RESTART_AFTER_S: Final = 0.2


@contextmanager
def embedded_valkeys(
    folder: Path, names: tuple[Name, ...], report: Callable[[str], None]
) -> Iterator[dict[Name, str]]:
    """URLs of embedded servers, which are restarted whenever one ends.

    Servers that cannot be started are missing from the URLs. `report` is called with a line about each of
    them, and about each restart.
    """
    with ExitStack() as stack:
        urls: dict[Name, str] = {}
        servers = []
        for name in names:
            server = EmbeddedValkey(name, folder)
            try:
                urls[name] = server.start()
            except Unreachable as error:
                server.stop()
                report(str(error))
                continue
            stack.callback(server.stop)
            servers.append(server)
        ending = threading.Event()
        # The thread outlives the servers that it starts: Linux ends a process with the thread that made it.
        watcher = threading.Thread(target=_restart_ended, args=(servers, ending, report), daemon=True)
        watcher.start()
        try:
            yield urls
        finally:
            ending.set()
            watcher.join(READY_TIMEOUT_S + _RESTART_AFTER_S)


def _restart_ended(
    servers: list[EmbeddedValkey], ending: threading.Event, report: Callable[[str], None]
) -> None:
    failures: dict[Name, str] = {}
    while not ending.wait(_RESTART_AFTER_S):
        for server in servers:
            if server.pid is not None or not server.is_owner:
                continue
            try:
                server.start()
            except Unreachable as error:
                if failures.get(server.name) != str(error):  # once, not at every try
                    failures[server.name] = str(error)
                    report(str(error))
            else:
                failures.pop(server.name, None)
                report(f"the embedded {server.name} had ended and is started again")
