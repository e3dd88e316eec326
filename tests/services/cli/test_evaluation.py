from __future__ import annotations

import json

import pytest
from fakes.chat_server import chat_server
from fakes.command_line import CommandLine


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("evaluate", "--suite", "glue"), "no suite 'glue': choose one of hint3-v1"),
        (("evaluate", "--suite", "snips", "--seeds", "0"), "seeds should be 1 or more, not 0"),
        (("evaluate", "--report", "docs"), "name one with --suite"),
        (("compare", "nowhere"), "should be a .gguf file, a folder with a Hugging Face model, or the URL"),
        (("compare", "http://127.0.0.1:9/v1"), "http://127.0.0.1:9/v1/models: "),
        (("bench", "--url", "http://127.0.0.1:9"), "nobody answers at http://127.0.0.1:9"),
    ],
)
def test_a_fault_is_reported_without_a_traceback(
    slmfleet: CommandLine, words: tuple[str, ...], says: str
) -> None:
    done = slmfleet(*words)
    assert done.returncode == 2
    assert says in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr + done.stdout


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
