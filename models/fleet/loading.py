"""Reading a fleet's folder. `load_fleet` is the only way in; its result has passed all of checks.py."""

from __future__ import annotations

from pathlib import Path

from slmfleet.models.errors import Fault, FleetFault
from slmfleet.models.fleet.checks import DomainFiles, FleetFiles, domain_faults, fleet_faults
from slmfleet.models.fleet.config import (
    DOMAIN_FILE,
    KNOWLEDGE_FILE,
    Domain,
    DomainConfig,
    Fleet,
    FleetConfig,
)
from slmfleet.models.fleet.document import read_document
from slmfleet.models.fleet.knowledge import read_passages
from slmfleet.models.text.gazetteer import Gazetteers


def load_fleet(folder: Path) -> Fleet:
    """Read and check a fleet's folder. Raises FleetFault with every fault found."""
    document = read_document(folder / "fleet.yaml")
    files = FleetFiles(document, document.validate(FleetConfig))
    faults = fleet_faults(files)
    gazetteers = {
        slot: _read_phrases(folder / name)
        for slot, name in files.config.gazetteers.items()
        if (folder / name).is_file()
    }
    domains: dict[str, Domain] = {}
    for name in files.config.domains:
        if (folder / name).is_dir():
            try:
                domains[name] = _load_domain(folder / name, files.config, gazetteers)
            except FleetFault as fault:
                faults += fault.faults
    if faults:
        raise FleetFault(faults)
    return Fleet(files.config, domains, folder, gazetteers)


def reread(fleet: Fleet, name: str) -> Domain:
    """The domain `name` of `fleet` from its files as they are now.

    Raises FleetFault, also where the intents changed: the loaded model was trained for the former ones.
    """
    fresh = _load_domain(fleet.folder / name, fleet.config, fleet.gazetteers)
    if fresh.config.intents.keys() != fleet.domains[name].config.intents.keys():
        message = "intents: are others than those that are served; load the fleet anew for them"
        raise FleetFault([Fault(fresh.folder / DOMAIN_FILE, 1, message)])
    return fresh


def _load_domain(folder: Path, fleet: FleetConfig, gazetteers: Gazetteers) -> Domain:
    document = read_document(folder / DOMAIN_FILE)
    config = document.validate(DomainConfig)
    if not (folder / KNOWLEDGE_FILE).is_file():
        raise FleetFault([Fault(folder / KNOWLEDGE_FILE, 1, "there is no such file")])
    files = DomainFiles(document, config, read_passages(folder / KNOWLEDGE_FILE))
    faults = domain_faults(files)
    if faults:
        raise FleetFault(faults)
    return Domain(config, tuple(files.passages), folder, gazetteers, fleet.today, fleet.currency)


def _read_phrases(path: Path) -> dict[str, str]:
    """Form in lower case -> canonical form. Each line of the file is `canonical | other form | ...`."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise FleetFault([Fault(path, 1, f"is not UTF-8 at byte {error.start}")]) from None
    phrases = {}
    for line in text.splitlines():
        forms = [" ".join(form.split()) for form in line.split("|") if form.strip()]
        phrases.update({form.lower(): forms[0] for form in forms})
    return phrases
