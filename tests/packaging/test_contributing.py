"""The recipes of CONTRIBUTING.md in the order of their steps."""

from __future__ import annotations

import json
import re
import shutil
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from fakes.command_line import CommandLine
from fakes.fleet import write_fleet

from slmfleet.models.training.recipe import SPECIALIST
from slmfleet.services.events.brokers.registry import BROKERS
from slmfleet.services.settings import SHOP_DIR
from slmfleet.services.telemetry import metrics

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "CONTRIBUTING.md").read_text("utf-8")

DOMAIN = """\
domain: gifts
title: Gift wrapping and gift cards
intents:
  gift_wrap:
    description: Whether and how something is wrapped as a gift.
    cacheable: shared
    passages: [gift-wrapping]
  gift_card:
    description: Buying a gift card and spending it.
    cacheable: shared
    passages: [gift-cards]
"""
KNOWLEDGE = """\
# Gifts

## Gift wrapping
We wrap any item as a gift for 4 dollars. Choose the paper in your cart.

## Gift cards
A gift card can be spent within 5 years. It is sent by e-mail within an hour.
"""
ROWS = {
    ("gift_wrap", "gift-wrapping"): (
        "can you wrap this as a gift", "what do you charge for wrapping gifts", "do you offer wrapping paper",
        "please gift wrap my order", "i want it in gift paper", "is wrapping a present free",
        "what does wrapping cost", "wrap it nicely as a present",
    ),
    ("gift_card", "gift-cards"): (
        "for how long may i use a gift card", "can i buy a gift card", "does my gift card expire",
        "when will the gift card arrive", "is the gift card sent by mail", "i would like a gift voucher",
        "until when can i spend my gift card", "do you sell gift cards",
    ),
}  # fmt: skip


def rows(texts: slice) -> str:
    return "\n".join(
        json.dumps({"text": text, "intent": intent, "passage": passage})
        for (intent, passage), written in ROWS.items()
        for text in written[texts]
    )


def add_gifts(fleet: Path) -> None:
    """Steps 1 to 3: the domain's folder, its rows, its name in fleet.yaml."""
    folder = fleet / "gifts"
    folder.mkdir()
    (folder / "domain.yaml").write_text(DOMAIN)
    (folder / "knowledge.md").write_text(KNOWLEDGE)
    (folder / "utterances.jsonl").write_text(rows(slice(1, None)))
    (folder / "test.jsonl").write_text(rows(slice(1)))
    config = fleet / "fleet.yaml"
    text = re.sub(r"^domains: \[(.+)\]$", r"domains: [\1, gifts]", config.read_text("utf-8"), flags=re.M)
    config.write_text(text, "utf-8")


@pytest.fixture
def slmfleet(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path / "state")


def test_a_new_domain_of_the_shop_is_checked_before_it_is_trained(
    slmfleet: CommandLine, tmp_path: Path
) -> None:
    fleet = tmp_path / "shop"
    shutil.copytree(SHOP_DIR, fleet)
    add_gifts(fleet)
    done = slmfleet("check", "--fleet", str(fleet))
    assert done.returncode == 0, done.stderr
    notes = [line for line in done.stdout.splitlines() if line.startswith("note: ")]
    assert len(notes) == 2
    assert "gifts/bundle/bundle.json" in notes[0]
    assert "run `slmfleet train gifts`" in notes[0]
    assert "run `slmfleet train router`" in notes[1]
    assert "7 domains" in done.stdout
    assert "6 of 8 bundles pass their probe" in done.stdout

    (fleet / "gifts" / "test.jsonl").unlink()
    assert (
        "gifts/test.jsonl:1: the domain has no test rows" in slmfleet("check", "--fleet", str(fleet)).stdout
    )
    (fleet / "gifts" / "utterances.jsonl").write_text(rows(slice(2)))
    few = slmfleet("check", "--fleet", str(fleet))
    assert few.returncode == 2
    assert "intent 'gift_wrap' has 2 rows" in few.stderr


@pytest.mark.train
def test_a_new_domain_is_checked_trained_measured_and_asked(
    slmfleet: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All steps in a fleet small enough to train here: one layer, few pieces, few passes."""
    pytest.importorskip("torch")
    from slmfleet.services.cli import train

    base = replace(train.SPECIALIST_BASE, layers=(0,), vocabulary=1_500, epochs=1)
    for name in ("SPECIALIST_BASE", "ROUTER_BASE"):
        monkeypatch.setattr(train, name, base)
    for step in (train.train_specialist, train.train_router):
        monkeypatch.setattr(
            train, step.__name__, partial(step, recipe=replace(SPECIALIST, layers=(0,), epochs=12))
        )
    fleet, cache = write_fleet(tmp_path / "fleet"), tmp_path / "cache"
    train.train_fleet(fleet, cache, None)

    add_gifts(fleet)
    before = slmfleet("check", "--fleet", str(fleet))
    assert before.returncode == 0, before.stderr
    assert re.findall(r"run `slmfleet train (\w+)`", before.stdout) == ["gifts", "router"]
    train.train_fleet(fleet, cache, "gifts")
    train.train_fleet(fleet, cache, "router")
    after = slmfleet("check", "--fleet", str(fleet))
    assert after.returncode == 0, after.stderr
    assert "slmfleet train" not in after.stdout
    measured = slmfleet("evaluate", "--fleet", str(fleet), "--json")
    assert [row["domain"] for row in json.loads(measured.stdout)["specialists"]] == ["gifts"]  # has test rows
    asked = slmfleet("ask", "--fleet", str(fleet), "--json", "for how long may i use a gift card")
    route = json.loads(asked.stdout)["route"]
    assert "gifts" in (route["domain"], route["runner_up"]["domain"])


def test_every_metric_is_drawn_or_declared_not_to_be() -> None:
    sys.path.insert(0, str(ROOT / "deploy" / "grafana"))
    try:
        from dashboard import NOT_DRAWN  # type: ignore[import-not-found]
    finally:
        sys.path.pop(0)
    written = (ROOT / "deploy" / "grafana" / "slmfleet.json").read_text("utf-8")
    rules = (ROOT / "deploy" / "prometheus" / "rules.yml").read_text("utf-8")
    names = {metric.name for metric in metrics.ALL}
    drawn = {name for name in names if re.search(rf"\b{name}(_bucket|_count|_sum)?\b", written + rules)}
    assert names - drawn == set(NOT_DRAWN)


def test_every_broker_is_a_file_and_a_parameter_of_the_contract() -> None:
    files = {path.stem for path in (ROOT / "services" / "events" / "brokers").glob("*.py")}
    registered = {broker.path.partition(":")[0].rpartition(".")[2] for broker in BROKERS}
    assert files - {"__init__", "registry"} == registered
    contract = (ROOT / "tests" / "connected" / "test_brokers.py").read_text("utf-8")
    (ids,) = re.findall(r"ids=\[(.+?)\]", contract)
    assert set(re.findall(r'"(\w+)"', ids)) == registered


@pytest.mark.parametrize("recipe", ["A domain", "A broker", "A metric"])
def test_the_guide_gives_the_recipe_in_numbered_steps(recipe: str) -> None:
    steps = GUIDE.partition(f"### {recipe}\n")[2].partition("\n### ")[0].partition("\n## ")[0]
    numbers = re.findall(r"^(\d)\. ", steps, re.M)
    assert numbers == [str(number) for number in range(1, len(numbers) + 1)]
    assert len(numbers) >= 3
    paths = re.findall(r"`((?:services|models|deploy|tests|router)/[\w/.]+)`", steps)
    for path in (path for path in paths if "NAME" not in path):
        assert (ROOT / path).exists(), path


def test_the_guide_is_short() -> None:
    assert len(GUIDE.splitlines()) <= 120
