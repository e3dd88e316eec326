from __future__ import annotations

import importlib
import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import typer
from typer.core import TyperGroup

from slmfleet.services.cli.main import app
from slmfleet.services.settings import Settings

ROOT = Path(__file__).parents[2]
COMMANDS = typer.main.get_command(app)
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```\w*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
INDENTED = re.compile(r"^ {4}(.+)$", re.MULTILINE)
SPAN = re.compile(r"`([^`\n]+)`")
COMMAND = re.compile(r"(?:^|(?<=[\s(/]))slmfleet ([a-z][^|;)#<]*)")
#: A part of a path that stands for any: NAME, or a single letter.
PLACEHOLDER = re.compile(r"/(?:[A-Z]+|[a-z])(?=[/.]|$)")
NESTED = re.compile(r"\$\(([^)]*)\)")
#: Where a command that is mentioned ends.
ENDS = {"&", "&&", ">", ">&2", "2>", "-->"}
#: Variables of tests and tools, which no process that serves reads.
OTHER_VARIABLES = {"SLMFLEET_TEST_NODES", "SLMFLEET_CRDS"}


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def code_of(page: Path) -> Iterator[str]:
    """Lines of code, and spans of code in the prose."""
    text = page.read_text(encoding="utf-8")
    for block in FENCE.findall(text):
        yield from (line for line in block.splitlines() if line.startswith(("$ ", "slmfleet ", "make ")))
    prose = FENCE.sub("", text).replace("\\\n", " ")
    yield from (line.strip() for line in INDENTED.findall(prose))
    yield from SPAN.findall(prose)
    yield from re.findall(r"<!-- (?:run|measure)[^:]*: (.+?) -->", prose)


def commands_of(page: Path) -> Iterator[list[str]]:
    for code in code_of(page):
        yield from commands_in(code)


def commands_in(code: str) -> Iterator[list[str]]:
    """The words after `slmfleet` of each command in a line."""
    for part in (*NESTED.findall(code), NESTED.sub("X", code)):
        for found in COMMAND.findall(part):
            try:
                words = shlex.split(found)
            except ValueError:  # a quotation that ends on another line
                words = found.split()
            end = next((place for place, word in enumerate(words) if word in ENDS), len(words))
            yield words[:end]


def fault_of(words: list[str]) -> str | None:
    """What the command line does not know of these words after `slmfleet`."""
    command = COMMANDS
    while isinstance(command, TyperGroup) and words:
        name, *words = words
        if name not in command.commands:
            return f"there is no command {name}"
        command = command.commands[name]
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    unknown = [word for word in words if word.startswith("--") and word.partition("=")[0] not in known]
    return f"{command.name} has no {unknown[0]}" if unknown else None


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_command_exists_with_its_options(page: Path) -> None:
    assert [(words, fault) for words in commands_of(page) if (fault := fault_of(words))] == []


@pytest.mark.parametrize("wrong", ["slmfleet fly", "slmfleet ask --loud x", "slmfleet cache clear"])
def test_a_command_that_does_not_exist_is_found(wrong: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"Say `{wrong}`.\n", encoding="utf-8")
    (words,) = commands_of(page)
    assert fault_of(words) is not None


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_target_of_make_exists(page: Path) -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {name for code in code_of(page) for name in re.findall(r"(?:^|\s{2})make ([a-z-]+)", code)}
    assert named - targets == set()


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_link_resolves(page: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(link)
    assert broken == []


def _anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_path_and_module_exists(page: Path) -> None:
    top = r"(?:services|router|models|deploy|tests|helm|docs)"
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    paths = [
        path
        for code in code_of(page)
        for path in re.findall(rf"(?:^|(?<=\s))({top}/[\w./-]*)(?=$|[\s,:])", code)
        if path not in ignored and not PLACEHOLDER.search(path)
    ]
    modules = [
        module
        for code in code_of(page)
        for module in re.findall(r"(?<![\w/])slmfleet\.(?:services|router|models)(?:\.\w+)*", code)
    ]
    assert [path for path in paths if not (ROOT / path).exists()] == []
    assert [module for module in modules if not _importable(module)] == []


def _importable(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_setting_exists(page: Path) -> None:
    known = {f"SLMFLEET_{name.upper()}" for name in Settings.model_fields} | OTHER_VARIABLES
    assert set(re.findall(r"\bSLMFLEET_[A-Z_]+[A-Z]\b", page.read_text(encoding="utf-8"))) - known == set()


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert {name for name in pages if f"]({name})" not in index} == set()


@pytest.fixture
def docs(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "deploy"))
    return importlib.import_module("docs")


def test_what_is_generated_from_the_code_is_current(docs: ModuleType) -> None:
    assert {page.name: fault for page in docs.pages() if (fault := docs.stale(page))} == {}


def test_what_make_docs_runs_exists(docs: ModuleType) -> None:
    run = {command for page in docs.pages() for _, command in docs.jobs_of(page)}
    words = [found for command in run for found in commands_in(command)]
    assert len(words) > 8
    assert [fault for found in words if (fault := fault_of(found))] == []


def test_a_block_shows_what_its_command_printed(docs: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# One\n<!-- measure on split: slmfleet bench -->\nold\n<!-- end -->\nTwo\n", encoding="utf-8"
    )
    job = ("split", "slmfleet bench")
    assert docs.jobs_of(page) == [job]
    assert docs.stale(page) is not None
    page.write_text(docs.render(page, docs.Outputs("commit 1", {job: "p50 1 ms  \n"})), encoding="utf-8")
    assert page.read_text(encoding="utf-8") == (
        "# One\n<!-- measure on split: slmfleet bench -->\n```text\n$ slmfleet bench\np50 1 ms\n```\n"
        "\nMeasured at commit 1.\n<!-- end -->\nTwo\n"
    )
    assert docs.stale(page) is None


def test_a_page_from_the_code_that_was_edited_is_stale(
    docs: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "settings.md"
    monkeypatch.setitem(docs.CHEAP_PAGES, page, docs.docs_reference.settings_page)
    assert docs.stale(page) == "is missing"
    page.write_text(docs.render(page, docs.Outputs("commit 1")), encoding="utf-8")
    assert docs.stale(page) is None
    page.write_text(page.read_text(encoding="utf-8").replace("8080", "8000"), encoding="utf-8")
    assert docs.stale(page) is not None


def test_a_setting_is_listed_with_its_variable_type_default_and_bounds(docs: ModuleType) -> None:
    page = docs.docs_reference.settings_page()
    assert "| `port` | `SLMFLEET_PORT` | integer | `8080` | ≥ 1, ≤ 65,535 |" in page
    assert "| `redis_url` | `SLMFLEET_REDIS_URL` | secret, optional |  |  |" in page
    assert "| `placement` | `SLMFLEET_PLACEMENT` | `colocated` or `split` | `colocated` |  |" in page
    assert str(ROOT) not in page


def test_a_metric_is_listed_with_its_type_and_labels(docs: ModuleType) -> None:
    page = docs.docs_reference.metrics_page()
    assert "| `slmfleet_queries_total` | counter | `domain`, `outcome` |" in page
    assert "| `source` | `estimated`, `rapl` |" in page
