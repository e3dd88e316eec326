"""Prometheus's own tool on what is shipped for it: the config parses, the rules alert when they should."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

FOLDER = Path(__file__).parents[2] / "deploy" / "prometheus"
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is missing: apt-get install prometheus"
)


def _promtool(*arguments: str, folder: Path = FOLDER) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *arguments], cwd=folder, capture_output=True, text=True, timeout=120)


@needs_promtool
@pytest.mark.parametrize(
    "arguments", [("check", "config", "prometheus.yml"), ("test", "rules", "rules_test.yml")]
)
def test_promtool_passes(arguments: tuple[str, ...]) -> None:
    done = _promtool(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("> 14.4 * 0.01 and", "> 99 and"),
        ("> 1.5 * slmfleet:abst", "> 15 * slmfleet:abst"),
        ('result="different"}[1h])) > 0', 'result="different"}[1h])) > 5'),
    ],
)
def test_a_broken_rule_fails_its_test(tmp_path: Path, right: str, wrong: str) -> None:
    rules = (FOLDER / "rules.yml").read_text(encoding="utf-8")
    assert right in rules
    shutil.copytree(FOLDER, tmp_path / "prometheus")
    broken = rules.replace(right, wrong).replace("unless slmfleet_cache", "and slmfleet_cache")
    (tmp_path / "prometheus" / "rules.yml").write_text(broken, encoding="utf-8")
    assert _promtool("test", "rules", "rules_test.yml", folder=tmp_path / "prometheus").returncode != 0


def test_every_alert_is_tested_and_says_what_to_do() -> None:
    yaml = YAML(typ="safe")
    rules = yaml.load((FOLDER / "rules.yml").read_text(encoding="utf-8"))
    tests = yaml.load((FOLDER / "rules_test.yml").read_text(encoding="utf-8"))
    alerts = [rule for group in rules["groups"] for rule in group["rules"] if "alert" in rule]
    fired = {
        case["alertname"]
        for test in tests["tests"]
        for case in test.get("alert_rule_test", [])
        if case["exp_alerts"]
    }
    assert {rule["alert"] for rule in alerts} == fired
    for rule in alerts:
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert {"summary", "description"} <= set(rule["annotations"])
