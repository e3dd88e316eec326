"""The command line, as a person runs it: in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fakes.chat_server import chat_server
from fakes.command_line import CommandLine

from slmfleet.services.settings import SHOP_DIR


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
        (("train", "gardening"), "no domain 'gardening'"),
        (("evaluate", "--suite", "glue"), "no suite 'glue': choose one of hint3-v1"),
        (("evaluate", "--suite", "snips", "--seeds", "0"), "seeds should be 1 or more, not 0"),
        (("evaluate", "--report", "docs"), "name one with --suite"),
        (("compare", "nowhere"), "should be a .gguf file, a folder with a Hugging Face model, or the URL"),
        (("compare", "http://127.0.0.1:9/v1"), "http://127.0.0.1:9/v1/models: "),
    ],
)
def test_a_fault_is_told_without_a_traceback(
    slmfleet: CommandLine, words: tuple[str, ...], says: str
) -> None:
    done = slmfleet(*words)
    assert done.returncode == 2
    assert says in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr + done.stdout


def test_check_passes_the_shop_and_explains_a_broken_one(slmfleet: CommandLine, tmp_path: Path) -> None:
    good = slmfleet("check")
    assert good.returncode == 0, good.stderr
    assert "6 domains" in good.stdout
    shutil.copytree(SHOP_DIR, tmp_path / "shop")
    path = tmp_path / "shop" / "returns" / "domain.yaml"
    lines = path.read_text(encoding="utf-8").splitlines()
    place = next(index for index, line in enumerate(lines) if "cacheable: shared" in line)
    lines[place] = "    cacheable: sometimes"
    path.write_text("\n".join(lines), encoding="utf-8")
    bad = slmfleet("check", "--fleet", str(tmp_path / "shop"))
    assert bad.returncode == 2
    assert f"{path}:{place + 1}: " in bad.stderr.replace("\n", "")


def test_compare_sets_the_fleet_beside_a_server(slmfleet: CommandLine) -> None:
    with chat_server() as server:
        words = ("compare", server.url, "--questions", "8", "--price-read", "2", "--price-written", "10")
        done = slmfleet(*words, "--samples", "1")
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""  # nobody looks at a bar
        for said in ("quoter-1", "right and grounded", "data leaves the machine", "400 / 50", "> "):
            assert said in done.stdout
        assert max(map(len, done.stdout.splitlines())) <= 80
        told = json.loads(slmfleet(*words, "--json").stdout)
    assert len(told["asked"]) == 8
    assert told["baseline"]["cost_per_1000"] == pytest.approx(1.3)
    assert told["baseline"]["cpu_ms_per_query"] is None


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
