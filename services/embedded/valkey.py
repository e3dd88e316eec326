"""An embedded Valkey server, so that a fleet has its cache and its broker without any set-up.

It listens on loopback alone, behind a random password, and ends with the process that started it.
"""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from slmfleet.models.errors import Unreachable
from slmfleet.services.embedded.binary import valkey_binary
from slmfleet.services.embedded.configuration import Name, configuration
from slmfleet.services.embedded.ports import free_ports
from slmfleet.services.embedded.url_file import port_and_password, write_url
from slmfleet.services.settings import embedded_url

READY_TIMEOUT_S: Final = 10.0
_STOP_TIMEOUT_S: Final = 5.0

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
    """One server, with its files in `folder` (created for its user alone).

    Port and password stay the same from one start to the next, so that clients find it again. Of several
    processes with one folder the first owns the server (by a file lock), and the others use it.
    """

    def __init__(self, name: Name, folder: Path) -> None:
        self.name = name
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[bytes] | None = None

    @property
    def url(self) -> str:
        """redis://:PASSWORD@127.0.0.1:PORT of the last start. Raises Unreachable when there was none."""
        url = embedded_url(self._folder, self.name)
        if url is None:
            raise Unreachable(f"no embedded {self.name} was started in {self._folder}")
        return url

    @property
    def pid(self) -> int | None:
        """The server's process id, None when this object has no live one."""
        process = self._process
        return None if process is None or process.poll() is not None else process.pid

    @property
    def is_owner(self) -> bool:
        """Whether this object, and not another process, owns the server and has to restart it."""
        return self._lock is not None

    def start(self) -> str:
        """Start the server unless another process owns it, and wait until it answers. Returns its URL.

        A server whose owner died without ending it is ended first.
        Raises Unreachable when it cannot be started; this object stays the owner, for another try, until
        `stop`.
        """
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self._folder / self.name).mkdir(mode=0o700, exist_ok=True)
            if not self._acquire():
                return self._await_owner()
            known = embedded_url(self._folder, self.name)
            if known is not None:
                _shut_down(known)
            url = self._launch(known)
            self._await_ready(url)
        except OSError as error:
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
        """End the server in good order if this object owns it; SIGKILL after 5 seconds."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _acquire(self) -> bool:
        """Take the lock that makes this object the owner; the kernel releases it when the process ends."""
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

    def _await_owner(self) -> str:
        """The URL of the server that another process owns, once it answers. Raises Unreachable."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline:
            url = embedded_url(self._folder, self.name)
            if url is not None and _answers(url):
                return url
            time.sleep(0.05)
        raise Unreachable(f"another process holds the embedded {self.name}, which does not answer")

    def _launch(self, known: str | None) -> str:
        """Start the process, at the place of the URL `known` where its port is free; returns the URL."""
        port, password = port_and_password(known)
        if port is None or not _is_free(port):
            (port,) = free_ports(1)
        self._process = subprocess.Popen(  # noqa: S603 - our own command line
            [sys.executable, "-I", "-S", "-c", _LAUNCH, str(os.getpid()), str(valkey_binary())],
            stdin=subprocess.PIPE,  # the configuration: a password in a file or an argument could be read
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"LC_ALL": "C"},
            process_group=0,  # Ctrl-C is for this program, which then ends the server last
        )
        assert self._process.stdin is not None
        with self._process.stdin as stdin:
            stdin.write(configuration(self.name, self._folder, port, password).encode())
        url = f"redis://:{password}@127.0.0.1:{port}"
        write_url(self._folder, self.name, url)
        return url

    def _await_ready(self, url: str) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not _answers(url):
            if self.pid is None or time.monotonic() > deadline:
                log = self._folder / f"{self.name}.log"
                raise Unreachable(f"the embedded {self.name} does not come up; its log is {log}")
            time.sleep(0.02)


def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(
        url, socket_timeout=1.0, socket_connect_timeout=1.0, retry=Retry(NoBackoff(), 0)
    )


def _answers(url: str) -> bool:
    with _client(url) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:  # also while it loads its file
            return False


def _shut_down(url: str) -> None:
    """End the server at `url`, if one answers there to our password: its owner is dead."""
    with _client(url) as client:
        try:
            client.shutdown()
        except redis.RedisError:
            return


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
