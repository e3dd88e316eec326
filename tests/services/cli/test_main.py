"""The command line, as a person runs it: in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version

import pytest
from fakes.command_line import CommandLine


def test_ask_answers_from_evidence_without_a_server(slmfleet: CommandLine) -> None:
    done = slmfleet("ask", "how long do I have to return shoes?")
    assert done.returncode == 0, done.stderr
    assert "30 days" in done.stdout
    assert "knowledge returns/" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_ask_reads_a_customers_records_with_a_token_only(slmfleet: CommandLine) -> None:
    question = "where is my order #W7678072?"
    assert json.loads(slmfleet("ask", "--json", question).stdout)["status"] == "needs_identity"
    token = slmfleet("token", "noah_brown_6181").stdout.strip()
    answer = json.loads(slmfleet("ask", "--json", "--token", token, question).stdout)
    assert answer["status"] == "answered"
    assert "#W7678072" in answer["text"]


def test_explain_shows_what_decides_and_what_would_flip_it(slmfleet: CommandLine) -> None:
    question = "  how long do I have to return shoes?"
    done = slmfleet("explain", question)
    assert done.returncode == 0, done.stderr
    for said in ("router", "decision  returns", "runner-up", "return +", "flip", "return_policy"):
        assert said in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    told = json.loads(slmfleet("explain", "--json", question).stdout)
    assert told["route"]["label"] == "returns"
    assert [part["domain"] for part in told["parts"]] == ["returns"]
    weightiest = max(told["route"]["words"], key=lambda word: word["weight"])
    assert told["route"]["text"][weightiest["start"] : weightiest["end"]] == "return"


def test_ask_takes_more_texts_for_the_turns_of_one_conversation(slmfleet: CommandLine) -> None:
    token = slmfleet("token", "noah_brown_6181").stdout.strip()
    done = slmfleet("ask", "--token", token, "where is my order #W7678072?", "can I cancel it?")
    assert done.returncode == 0, done.stderr
    assert "> can I cancel it?" in done.stdout
    assert done.stdout.count("record #W7678072") == 2
    first, second = json.loads(slmfleet("ask", "--json", "can I cancel it?", "thanks").stdout)
    assert first["parts"][0]["domain"] == "orders"
    assert second["parts"] == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("ask", ""), "text: "),
        (("explain", ""), "text: "),
        (("ask", "   "), "white space"),
        (("ask", "x" * 2_001), "2000"),
        (("ask", "hello", " "), "white space"),
        (("ask", "--token", "forged", "hello"), "token"),
        (("token", "nobody_0000"), "no customer 'nobody_0000'"),
        (("ask", "--fleet", "nowhere", "hello"), "there is no such file"),
    ],
)
def test_a_fault_is_told_without_a_traceback(
    slmfleet: CommandLine, words: tuple[str, ...], says: str
) -> None:
    done = slmfleet(*words)
    assert done.returncode == 2
    assert says in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr + done.stdout


def test_serving_code_imports_neither_torch_nor_ray_to_ask(slmfleet: CommandLine) -> None:
    code = (
        "import sys, tempfile; from pathlib import Path; from slmfleet.services.cli.ask import ask_locally;"
        "from slmfleet.services.settings import load_settings;"
        "ask_locally(load_settings(state_dir=Path(tempfile.mkdtemp())), 'refund?', None);"
        "print(sorted({'torch', 'transformers', 'ray', 'sklearn'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_version_is_that_of_the_distribution(slmfleet: CommandLine) -> None:
    assert slmfleet("--version").stdout == f"slmfleet {version('slmfleet')}\n"


def test_help_fits_80_columns_and_names_every_command(slmfleet: CommandLine) -> None:
    shown = slmfleet("--help").stdout
    assert max(map(len, shown.splitlines())) <= 80
    for command in (
        "up", "ask", "explain", "train", "check", "token", "evaluate", "bench", "compare", "cache", "consume",
        "publish", "dead",
    ):  # fmt: skip
        assert f"│ {command} " in shown
