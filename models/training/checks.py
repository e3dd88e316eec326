"""What a fleet's folder lacks before it can be trained and served, in plain words. Needs no torch.

`loading.load_fleet` finds what is wrong with the configuration; here are its rows and bundles. Faults keep
training from starting; notes tell what is still to be done, and a fleet without bundles is only that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, Literal

from slmfleet.models.contracts import HAND_OFF, OUT_OF_SCOPE
from slmfleet.models.errors import BundleMissing, Fault
from slmfleet.models.fleet.config import Domain, Fleet
from slmfleet.models.inference.bundle import read_card
from slmfleet.models.training.data import TEST_FILE, TRAIN_FILE, Corpus, Row

#: Rows that an intent must have to be trained.
MIN_ROWS_PER_INTENT: Final = 5


def row_faults(fleet: Fleet, corpus: Corpus) -> list[Fault]:
    """Domains and intents with fewer rows than training needs.

    A domain with a bundle and no rows at all is no fault: it is served from a bundle that was made elsewhere.
    """
    faults: list[Fault] = []
    for name, domain in fleet.domains.items():
        rows = corpus.of(name).train
        if rows:
            faults += thin_intents(domain, rows)
        elif not _has_bundle(domain.folder):
            message = (
                "the domain has no training rows, so neither its model nor the router can learn it: write at "
                f"least {MIN_ROWS_PER_INTENT} utterances an intent"
            )
            faults.append(Fault(domain.folder / TRAIN_FILE, 1, message))
    return faults


def thin_intents(domain: Domain, rows: Sequence[Row]) -> Iterator[Fault]:
    """The intents of `domain` with fewer than MIN_ROWS_PER_INTENT of its training `rows`."""
    counts = Counter(row.intent for row in rows)
    for intent in domain.config.intents:
        if counts[intent] < MIN_ROWS_PER_INTENT:
            message = (
                f"intent '{intent}' has {counts[intent]} rows; at least {MIN_ROWS_PER_INTENT} are needed"
            )
            yield Fault(domain.folder / TRAIN_FILE, 1, message)


def row_notes(fleet: Fleet, corpus: Corpus) -> list[Fault]:
    """Domains with training rows and no test rows; a router without rows that are out of scope."""
    missing = [
        Fault(
            domain.folder / TEST_FILE,
            1,
            "the domain has no test rows: without them nothing measures how right it is",
        )
        for name, domain in fleet.domains.items()
        if corpus.of(name).train and not corpus.of(name).test
    ]
    if corpus.train:
        missing += [
            Fault(
                fleet.folder / "router" / TRAIN_FILE,
                1,
                f"no row is {label}: the router cannot learn what that is",
            )
            for label in (HAND_OFF, OUT_OF_SCOPE)
            if not any(row.domain == label for row in corpus.train)
        ]
    return missing


def bundle_notes(fleet: Fleet) -> list[Fault]:
    """Models that are not trained yet, or were trained for other intents or domains. None: all can load.

    Raises BundleFault for a bundle that is damaged or of another format.
    """
    found = [
        _bundle_note(domain.folder, "specialist", domain.config.intents, "intents than domain.yaml")
        for domain in fleet.domains.values()
    ]
    labels = (*fleet.domains, HAND_OFF, OUT_OF_SCOPE)
    found.append(_bundle_note(fleet.folder / "router", "router", labels, "domains than fleet.yaml"))
    return [note for note in found if note is not None]


def _bundle_note(
    folder: Path, kind: Literal["specialist", "router"], labels: Iterable[str], others: str
) -> Fault | None:
    path, name = folder / "bundle", folder.name
    try:
        card = read_card(path, kind)
    except BundleMissing:
        return Fault(path / "bundle.json", 1, f"is not trained yet: run `slmfleet train {name}`")
    if set(card.labels) == set(labels):
        return None
    return Fault(path / "bundle.json", 1, f"was trained for other {others} has: run `slmfleet train {name}`")


def _has_bundle(folder: Path) -> bool:
    return (folder / "bundle" / "bundle.json").is_file()
