"""Writes what is generated in README.md and docs/: whole pages, and blocks between markers.

    python deploy/docs.py                      # everything; runs commands of slmfleet, about 15 minutes
    python deploy/docs.py docs/settings.md     # only these files
    python deploy/docs.py --check              # only say what is stale (exit status 1); runs no model

A block is what stands between `<!-- KIND: COMMAND -->` and `<!-- end -->`:

    run               the command and what it prints
    measure           the same, with the commit and the machine
    ... on PLACEMENT  while `slmfleet up --placement PLACEMENT` serves (localhost:8080 in the command)
    table             a table of TABLES, by its name

`--check` compares the pages that need no model, and that each block shows the command of its marker.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import docs_reference
import docs_tables
from docs_commands import ROOT, Job, Outputs, measured_on, run_all

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


def _benches(outputs: Outputs) -> dict[tuple[str, int], dict[str, Any]]:
    """Placement and connections -> result of `slmfleet bench`, of those that were run."""
    return {key: outputs.document(job) for key, job in BENCHES.items() if job in outputs.printed}


#: Name of a table -> the commands whose results it shows, and what makes it of them.
TABLES: Final[dict[str, tuple[list[Job], Callable[[Outputs], str]]]] = {
    "figures": (
        [EVALUATE, MODELS, *(job for (where, _), job in BENCHES.items() if where == "colocated")],
        lambda outputs: docs_tables.figures_table(
            outputs.document(EVALUATE), outputs.document(MODELS), _benches(outputs)
        ),
    ),
    "performance": ([*BENCHES.values()], lambda outputs: docs_tables.performance_table(_benches(outputs))),
    "models": ([MODELS], lambda outputs: docs_tables.models_table(outputs.document(MODELS))),
    "published": ([], lambda outputs: docs_tables.published_table(DOCS)),
}


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
            jobs += TABLES[block["command"]][0]
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
    if block["kind"] == "table":
        jobs, build = TABLES[command]
        return build(outputs) + (measured if jobs else "")
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
