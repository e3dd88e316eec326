"""What a command says where the extra that it needs is not installed."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from fakes.command_line import CommandLine

from slmfleet.models.errors import SettingsFault
from slmfleet.models.extras import MODULES
from slmfleet.services.cli.options import report_errors

ALL = sorted({module for modules in MODULES.values() for module in modules})


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        (("up",), "serve"),
        (("consume",), "events"),
        (("publish", "hello"), "events"),
        (("dead", "list"), "events"),
        (("dead", "show", "1"), "events"),
        (("dead", "replay", "--all"), "events"),
        (("cache", "show"), "serve"),
        (("cache", "evict", "--all"), "serve"),
        (("cache", "measure"), "serve"),
        (("cache", "bench"), "serve"),
        (("train",), "train"),
        (("evaluate", "--suite", "snips"), "train"),
        (("compare", "http://127.0.0.1:9/v1"), "compare"),
        (("compare", "model.gguf"), "gguf"),
        (("compare", "."), "transformers"),
    ],
)
def test_a_missing_extra_is_named_in_one_line(
    slmfleet: CommandLine, words: tuple[str, ...], extra: str
) -> None:
    done = slmfleet(*words, hidden=ALL)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.endswith(f"pip install 'slmfleet[{extra}]'")
    assert done.stdout == ""


@pytest.mark.parametrize(
    "words",
    [
        ("ask", "how long do I have to return shoes?"),
        ("explain", "how long do I have to return shoes?"),
        ("check",),
        ("token", "noah_brown_6181"),
        ("--help",),
        ("--version",),
    ],
)
def test_the_core_needs_no_extra(slmfleet: CommandLine, words: tuple[str, ...]) -> None:
    done = slmfleet(*words, hidden=ALL)
    assert done.returncode == 0, done.stderr


def test_another_missing_module_is_a_fault_of_ours(tmp_path: Path) -> None:
    with pytest.raises(ModuleNotFoundError), report_errors():
        raise ModuleNotFoundError("no module", name="slmfleet.nothing")


def test_brackets_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), report_errors():
        raise SettingsFault("pip install 'slmfleet[train]'")
    assert "slmfleet[train]" in capsys.readouterr().err
