"""Passages follow their files: by token, by file, and in a specialist's process by the caller's digest."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.serving import write_word_shop

from slmfleet.models.fleet.config import Domain, Fleet, load_fleet
from slmfleet.services.state.knowledge_reload import KnowledgeFollower, KnowledgeReloader


class Index:
    """Records the digests that were indexed."""

    def __init__(self) -> None:
        self.digests: list[str] = []

    def reindex(self, domain: Domain) -> None:
        self.digests.append(domain.knowledge_digest)


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    write_word_shop(tmp_path / "fleet", cacheable="shared")
    return load_fleet(tmp_path / "fleet")


def change(fleet: Fleet) -> str:
    """Write other shipping knowledge; returns its digest."""
    path = fleet.domains["shipping"].knowledge_path
    path.write_text(path.read_text().replace("All about", "Much about"))
    return load_fleet(path.parents[1]).domains["shipping"].knowledge_digest


async def test_a_new_token_has_the_file_read_again(fleet: Fleet) -> None:
    index = Index()
    knowledge = KnowledgeReloader(fleet, index)
    tokens = dict.fromkeys(fleet.domains, "1")
    assert not knowledge.is_current(tokens)
    await knowledge.catch_up(tokens)
    assert knowledge.is_current(tokens)
    assert index.digests == []  # the text is the same
    before = knowledge.version("shipping")
    wanted = change(fleet)
    await knowledge.catch_up(tokens)
    assert index.digests == []  # the token is the same
    await knowledge.catch_up({**tokens, "shipping": "2"})
    assert index.digests == [wanted]
    assert knowledge.version("shipping") == f"2:{wanted}" != before
    assert knowledge.version("returns").startswith("1:")


async def test_without_a_server_a_changed_file_is_noticed(fleet: Fleet) -> None:
    index = Index()
    knowledge = KnowledgeReloader(fleet, index)
    await knowledge.check_files()
    assert index.digests == []
    wanted = change(fleet)
    for _ in range(2):
        await knowledge.check_files()
    assert index.digests == [wanted]


async def test_a_file_that_cannot_be_served_is_a_fault_until_it_can(fleet: Fleet) -> None:
    index = Index()
    knowledge = KnowledgeReloader(fleet, index)
    path = fleet.domains["shipping"].knowledge_path
    good, digest = path.read_text(), fleet.domains["shipping"].knowledge_digest
    path.write_text("## track\n\n## speed\n\nFast.\n")
    await knowledge.catch_up(dict.fromkeys(fleet.domains, "1"))
    assert list(knowledge.faults) == ["shipping"]
    assert fleet.domains["shipping"].knowledge_digest == digest
    path.write_text(good)
    await knowledge.catch_up(dict.fromkeys(fleet.domains, "2"))
    assert knowledge.faults == {}
    assert index.digests == []


def test_a_specialist_elsewhere_follows_what_its_callers_quote(fleet: Fleet) -> None:
    index = Index()
    follower = KnowledgeFollower(fleet, "shipping", index)
    follower.follow(fleet.domains["shipping"].knowledge_digest)
    assert index.digests == []
    follower.follow("what its own disk has not got yet")
    wanted = change(fleet)
    for _ in range(2):
        follower.follow(wanted)
    assert index.digests[-1] == wanted
    assert fleet.domains["shipping"].knowledge_digest == wanted
