"""Writes what the chart takes from elsewhere; `--check` only says what differs (exit status 1).

- the tables of helm/slmfleet/README.md, from the comments of values.yaml;
- helm/slmfleet/files, copies of what a chart cannot reach outside its own folder.
Needs nothing but Python.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
CHART = ROOT / "helm" / "slmfleet"
#: Of `deploy` -> of the chart's `files`.
COPIES = {
    "prometheus/rules.yml": "rules/rules.yml",
    "prometheus/prometheus.yml": "prometheus.yml",
    "grafana/slmfleet.json": "dashboards/slmfleet.json",
}
_BEGIN, _END = "<!-- values: written by `make chart` -->\n", "<!-- end of values -->\n"
_KEY = re.compile(r"^( *)([A-Za-z][\w-]*):(?: (.*))?$")


def written() -> dict[Path, str]:
    """Path -> text of every file that is written."""
    readme = CHART / "README.md"
    before, _, rest = readme.read_text().partition(_BEGIN)
    _, _, after = rest.partition(_END)
    files = {readme: before + _BEGIN + values_tables((CHART / "values.yaml").read_text()) + _END + after}
    for source, copy in COPIES.items():
        files[CHART / "files" / copy] = (ROOT / "deploy" / source).read_text()
    return files


def values_tables(text: str) -> str:
    """Markdown tables of values.yaml: one a `## @` heading, one row a commented value."""
    out: list[str] = []
    for heading, rows in _sections(text):
        out += [f"\n### {heading}\n", "| value | default | what it is |", "|---|---|---|"]
        out += [f"| `{path}` | {_default(default)} | {words} |" for path, default, words in rows]
    return "\n".join([*out, "", ""])


def _sections(text: str) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    heading, rows = "", []
    above: list[str] = []  # comment lines above a key
    parents: list[tuple[int, str]] = []
    for line in text.splitlines():
        bare = line.strip()
        if bare.startswith("## @"):
            if heading:
                yield heading, rows
            heading, rows, above = bare.removeprefix("## @").strip(), [], []
        elif bare.startswith("#"):
            above.append(bare.removeprefix("#").strip())
        elif found := _KEY.match(line):
            indent, key, value = len(found[1]), found[2], found[3]
            parents = [*(parent for parent in parents if parent[0] < indent), (indent, key)]
            if above and heading:
                rows.append(
                    (".".join(name for _, name in parents), value or "see values.yaml", " ".join(above))
                )
            above = []
        else:
            above = []
    yield heading, rows


def _default(value: str) -> str:
    return value if value.startswith("see ") else f"`{value}`"


def main() -> int:
    """Write, or with --check compare."""
    check = "--check" in sys.argv
    files = written()
    stale = [path for path, text in files.items() if not path.exists() or path.read_text() != text]
    for path in stale:
        print(f"{path.relative_to(ROOT)}: {'is not what `make chart` writes' if check else 'written'}")
    if not check:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
