"""`slmfleet check`: whether a fleet's folder can be trained and served, and what is still to be done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from slmfleet.models.errors import Fault, FleetFault
from slmfleet.models.fleet.checks import folder_notes
from slmfleet.models.fleet.config import Fleet
from slmfleet.models.fleet.loading import load_fleet
from slmfleet.models.inference.specialist import Specialist
from slmfleet.models.training.checks import bundle_notes, row_faults, row_notes
from slmfleet.models.training.data import Corpus, load_corpus
from slmfleet.router.classifier import Router
from slmfleet.services.evaluation.corpus import has_rows, no_rows


@dataclass(frozen=True)
class CheckedFleet:
    """A folder without faults: its configuration, its rows, and notes on what is still to be done."""

    fleet: Fleet
    corpus: Corpus
    notes: tuple[Fault, ...]
    #: How many bundles pass their probe.
    probed: int

    def render(self) -> str:
        """The result for a terminal: notes first, a summary last."""
        domains = self.fleet.domains.values()
        counts = [
            f"{len(domains)} domains",
            f"{sum(len(domain.config.intents) for domain in domains)} intents",
            f"{sum(len(domain.passages) for domain in domains)} passages",
        ]
        lines = [f"note: {note}" for note in self.notes]
        if has_rows(self.corpus):
            counts.append(f"{len(self.corpus.train)} training and {len(self.corpus.test)} test rows")
        else:
            lines.append(f"note: {no_rows(self.fleet.folder)}")
        bundles = len(domains) + 1
        probed = "every bundle" if self.probed == bundles else f"{self.probed} of {bundles} bundles"
        passes = "pass their" if self.probed != bundles else "passes its"
        lines.append(f"{self.fleet.config.retailer}: {', '.join(counts)}; {probed} {passes} probe")
        return "\n".join(lines)


def check_fleet(folder: Path) -> CheckedFleet:
    """Check the configuration, the rows and the bundles of the fleet in `folder`.

    A model that is not trained yet is a note. Raises FleetFault with every fault, DataFault for a row that
    cannot be read, BundleFault and ModelBroken for a bundle that is there and cannot be served.
    """
    fleet = load_fleet(folder)
    corpus = load_corpus(fleet)
    faults = row_faults(fleet, corpus)
    if faults:
        raise FleetFault(faults)
    untrained = bundle_notes(fleet)
    not_loaded = {note.file.parent.parent.name for note in untrained}
    trained = [domain for name, domain in fleet.domains.items() if name not in not_loaded]
    for domain in trained:
        Specialist.load(domain)
    probed = len(trained)
    if "router" not in not_loaded:
        Router.of(fleet)
        probed += 1
    notes = (*folder_notes(fleet), *row_notes(fleet, corpus), *untrained)
    return CheckedFleet(fleet, corpus, notes, probed)
