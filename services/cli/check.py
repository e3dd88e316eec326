"""`slmfleet check`: whether a fleet's folder can be trained and served, and what is still missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from slmfleet.models.fleet.config import Fleet, load_fleet
from slmfleet.models.inference.specialist import Specialist
from slmfleet.models.training.data import Corpus, load_corpus
from slmfleet.router.classifier import Router
from slmfleet.services.evaluation.corpus import has_rows, no_rows

ROUTER = "router"


@dataclass(frozen=True)
class CheckedFleet:
    """A folder without faults: its configuration, its rows, and what is still to be done (`notes`)."""

    fleet: Fleet
    corpus: Corpus
    notes: tuple[str, ...]
    #: Models without a bundle: domains, `router`.
    untrained: tuple[str, ...]

    def render(self) -> str:
        """The result for a terminal: notes first, a summary last."""
        domains = self.fleet.domains.values()
        passages = sum(len(domain.passages) for domain in domains)
        intents = sum(len(domain.config.intents) for domain in domains)
        summary = (
            f"{self.fleet.config.retailer}: {len(domains)} domains, {intents} intents, {passages} passages"
        )
        if has_rows(self.corpus):
            summary += f", {len(self.corpus.train)} training and {len(self.corpus.test)} test rows"
        probed = "every bundle passes its probe"
        if self.untrained:
            probed = f"{1 + len(domains) - len(self.untrained)} of {1 + len(domains)} bundles are there"
        return "\n".join([*(f"note: {note}" for note in self.notes), f"{summary}; {probed}"])


def check_fleet(folder: Path) -> CheckedFleet:
    """Check the configuration, rows and bundles of the fleet in `folder`.

    A model that has not been trained is a note. Raises FleetFault, DataFault; BundleFault and ModelBroken for
    a bundle that is there and cannot be served.
    """
    fleet = load_fleet(folder)
    corpus = load_corpus(fleet)
    untrained = tuple(name for name in [*fleet.domains, ROUTER] if not _has_bundle(folder / name))
    for name, domain in fleet.domains.items():
        if name not in untrained:
            Specialist.load(domain)
    if ROUTER not in untrained:
        Router.of(fleet)
    notes = [f"{folder / name}: there is no bundle yet: slmfleet train {name}" for name in untrained]
    return CheckedFleet(fleet, corpus, (*_row_notes(fleet, corpus), *notes), untrained)


def _has_bundle(folder: Path) -> bool:
    return (folder / "bundle" / "bundle.json").is_file()


def _row_notes(fleet: Fleet, corpus: Corpus) -> Iterator[str]:
    if not has_rows(corpus):
        yield no_rows(fleet.folder)
