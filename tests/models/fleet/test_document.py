"""A YAML file's faults name their line, in our words and not a library's."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.fleet import FLEET, RETURNS

from slmfleet.models.errors import FleetFault
from slmfleet.models.fleet.config import DomainConfig, FleetConfig
from slmfleet.models.fleet.document import read_document


def faults_of(
    tmp_path: Path, text: str, kind: type[DomainConfig] | type[FleetConfig]
) -> list[tuple[int, str]]:
    (tmp_path / "file.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(FleetFault) as caught:
        read_document(tmp_path / "file.yaml").validate(kind)
    return [(fault.line, fault.message) for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("title: Returns", "titel: Returns", 1, "title: is missing"),
        ("title: Returns", "title: ''", 2, "title: should not be empty"),
        ("title: Returns", f"title: {'x' * 901}", 2, "title: should have at most 900 characters"),
        ("title: Returns", "title: 7", 2, "title: should be text; put a number or a date into quotes"),
        (
            "domain: returns", "domain: Returns", 1,
            "domain: should be 2 to 40 lower-case letters, digits and _, a letter first",
        ),
        (
            "  how_to:", "  How to:", 8,
            "intents.How to: should be 2 to 40 lower-case letters, digits and _, a letter first",
        ),
        (
            "cacheable: never", "cacheable: maybe", 10,
            "intents.how_to.cacheable: should be 'shared', 'per_customer' or 'never'",
        ),
        ("value: 30", "value: soon", 16, "rules.return_window_days.value: should be a number"),
        ("record: order", "hand_off: perhaps", 11, "intents.how_to.hand_off: should be true or false"),
        ("passages: [sending-back]", "passages: all", 12, "intents.how_to.passages: should be a list"),
        (
            "{value: 30, unit: days, passage: the-window}", "30", 16,
            "rules.return_window_days: should be a mapping of settings",
        ),
        (
            "record: order", "recrod: order", 11,
            "intents.how_to.recrod: is not a setting known here; remove it or check its spelling",
        ),
    ],
)  # fmt: skip
def test_a_wrong_setting_of_a_domain_is_a_sentence_of_ours(
    tmp_path: Path, old: str, new: str, line: int, message: str
) -> None:
    assert old in RETURNS
    assert (line, message) in faults_of(tmp_path, RETURNS.replace(old, new), DomainConfig)


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("today: 2026-06-15", "today: soon", 2, "today: should be a date such as 2026-06-15"),
        (
            "today: 2026-06-15", "currency: dollars", 2,
            "currency: should be a currency's three capital letters, such as USD",
        ),
        (
            "domains: [returns, parcels]", "domains: []", 4,
            "domains: name at least one domain, a folder beside fleet.yaml",
        ),
        (
            "wording:", "router: {max_wrong_domain_rate: 0.9}\nwording:", 5,
            "router.max_wrong_domain_rate: should be less than 0.5",
        ),
        (
            "wording:", "router: {max_wrong_domain_rate: 0}\nwording:", 5,
            "router.max_wrong_domain_rate: should be more than 0",
        ),
    ],
)  # fmt: skip
def test_a_wrong_setting_of_a_fleet_is_a_sentence_of_ours(
    tmp_path: Path, old: str, new: str, line: int, message: str
) -> None:
    assert old in FLEET
    assert (line, message) in faults_of(tmp_path, FLEET.replace(old, new), FleetConfig)


def test_a_number_that_is_none_is_told_once(tmp_path: Path) -> None:
    found = faults_of(tmp_path, RETURNS.replace("value: 30", "value: soon"), DomainConfig)
    assert [message for _, message in found] == ["rules.return_window_days.value: should be a number"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such file"),
        (b"title: \xff", "is not UTF-8 at byte 7"),
        (b"title: [", "is not YAML"),
        (b"- a\n- b\n", "should be a mapping of settings"),
        (b"", "should be a mapping of settings"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_fault(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "fleet.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FleetFault, match=message):
        read_document(path)


def test_a_fault_is_at_the_deepest_key_that_exists(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("one:\n  two: [x,\n    y]\n", encoding="utf-8")
    document = read_document(tmp_path / "a.yaml")
    assert document.fault("", "one", "two", 1).line == 3
    assert document.fault("", "one", "three").line == 1
    assert document.fault("").line == 1
