from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fakes.fleet import FLEET, RETURNS, RETURNS_KNOWLEDGE

from slmfleet.models.errors import FleetFault
from slmfleet.models.fleet.loading import load_fleet, reread
from slmfleet.services.settings import SHOP_DIR


def test_the_shop_is_without_fault_and_as_large_as_promised() -> None:
    fleet = load_fleet(SHOP_DIR)
    passages = {name: len(domain.passages) for name, domain in fleet.domains.items()}
    assert all(passages[name] >= 25 for name in ("shipping", "returns", "billing"))
    assert all(passages[name] >= 10 for name in ("orders", "account", "product"))
    assert fleet.return_window_days == 30


@pytest.mark.parametrize(
    ("file", "old", "new", "line", "says"),
    [
        ("fleet.yaml", "domains: [returns, parcels]", "domains: [returns, parcel]", 4, "no folder 'parcel'"),
        ("fleet.yaml", "{orders}?", "{order}?", 10, "{order} is not known there"),
        ("fleet.yaml", "retailer: Corner", "retailler: Corner", 1, "not a setting known here"),
        ("fleet.yaml", "  no_evidence: I don't know.\n", "", 5, "wording.no_evidence: is missing"),
        ("returns/domain.yaml", "passages: [the-window]", "passages: [the-door]", 7, "no passage 'the-door'"),
        ("returns/domain.yaml", "value: 30", "value: 31", 16, "31 does not occur in passage"),
        ("returns/domain.yaml", "{status}", "{statsu}", 14, "{statsu} is not known there"),
        ("returns/domain.yaml", "you have {return", "in 45 days you have {return", 14, "45 stands in none"),
        ("returns/domain.yaml", "default: Order", "deliverd: Order", 14, "should be one of"),
        ("returns/domain.yaml", "cacheable: never", "cacheable: shared", 8, "cannot be cacheable: shared"),
        ("returns/domain.yaml", "domain: returns", "domain: refunds", 1, "lies in folder 'returns'"),
        ("returns/domain.yaml", "title: Returns", "title: [", 3, "is not YAML"),
        ("returns/knowledge.md", "## Sending back", "## The window", 6, "is used twice"),
        (
            "returns/knowledge.md",
            "You can return anything within 30 days of its delivery.",
            "",
            3,
            "is empty",
        ),
    ],
)
def test_each_fault_is_told_with_its_file_and_line(
    make_fleet: Callable[..., Path], file: str, old: str, new: str, line: int, says: str
) -> None:
    whole = {"fleet.yaml": FLEET, "returns/domain.yaml": RETURNS, "returns/knowledge.md": RETURNS_KNOWLEDGE}
    assert old in whole[file]
    folder = make_fleet(**{file: whole[file].replace(old, new)})
    with pytest.raises(FleetFault) as caught:
        load_fleet(folder)
    told = {
        (fault.file.relative_to(folder).as_posix(), fault.line): fault.message
        for fault in caught.value.faults
    }
    assert any(
        at[0] == file and abs(at[1] - line) <= 1 and says in message for at, message in told.items()
    ), told


def test_all_faults_are_told_at_once(make_fleet: Callable[..., Path]) -> None:
    folder = make_fleet(
        **{
            "fleet.yaml": FLEET.replace("{orders}", "{order}"),
            "returns/domain.yaml": RETURNS.replace("[the-window]", "[the-door]").replace(
                "{status}", "{statsu}"
            ),
        }
    )
    with pytest.raises(FleetFault) as caught:
        load_fleet(folder)
    assert len(caught.value.faults) >= 3


def test_a_missing_folder_is_a_fault_not_a_traceback(tmp_path: Path) -> None:
    with pytest.raises(FleetFault, match="there is no such file"):
        load_fleet(tmp_path)


def test_other_intents_need_the_fleet_loaded_anew(make_fleet: Callable[..., Path]) -> None:
    fleet = load_fleet(make_fleet())
    assert reread(fleet, "returns").config == fleet.domains["returns"].config
    make_fleet(**{"returns/domain.yaml": RETURNS.replace("  how_to:", "  how_come:")})
    with pytest.raises(FleetFault, match="load the fleet anew"):
        reread(fleet, "returns")


def test_changed_knowledge_is_read_again(make_fleet: Callable[..., Path]) -> None:
    fleet = load_fleet(make_fleet())
    make_fleet(**{"returns/knowledge.md": RETURNS_KNOWLEDGE.replace("anything", "shoes")})
    domain = reread(fleet, "returns")
    assert "return shoes within 30 days" in domain.passage_by_id["the-window"].text
    assert domain.knowledge_digest != fleet.domains["returns"].knowledge_digest


def test_every_form_of_a_phrase_stands_for_the_first(make_fleet: Callable[..., Path]) -> None:
    yaml = FLEET.replace("wording:", "gazetteers: {product: names.txt}\nwording:")
    fleet = load_fleet(
        make_fleet(**{"fleet.yaml": yaml, "names.txt": "Hiking Boots | walking  boots\n\nHat\n"})
    )
    assert fleet.gazetteers == {
        "product": {"hiking boots": "Hiking Boots", "walking boots": "Hiking Boots", "hat": "Hat"}
    }


@pytest.mark.parametrize("name", ["returns/knowledge.md", "names.txt"])
def test_a_file_that_is_not_utf_8_is_a_fault(make_fleet: Callable[..., Path], name: str) -> None:
    yaml = FLEET.replace("wording:", "gazetteers: {product: names.txt}\nwording:")
    folder = make_fleet(**{"fleet.yaml": yaml, "names.txt": "Hat\n"})
    (folder / name).write_bytes(b"## A\n\xff")
    with pytest.raises(FleetFault, match=rf"{name}:1: is not UTF-8 at byte 5"):
        load_fleet(folder)
