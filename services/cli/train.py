"""`slmfleet train`: the whole fleet, or one of its models, with progress. Needs the extra `train`."""

from __future__ import annotations

import os
import time
from pathlib import Path

import torch
from rich.console import Console

from slmfleet.models.errors import DataFault
from slmfleet.models.fleet.loading import load_fleet
from slmfleet.models.inference.bundle import Card, size_bytes
from slmfleet.models.training.distill import distilled_base, is_distilled
from slmfleet.models.training.recipe import ROUTER_BASE, SPECIALIST_BASE
from slmfleet.models.training.specialist import domain_texts, fleet_texts, train_specialist
from slmfleet.router.train import train_router
from slmfleet.services.cli.progress_bars import bars
from slmfleet.services.evaluation.corpus import load_rows

ROUTER = "router"


def train_fleet(folder: Path, cache: Path, only: str | None) -> None:
    """Train every model of the fleet in `folder`, or the one named `only` (a domain or `router`).

    The distilled base encoder is stored in `cache`; one domain starts from the fleet's base, or else
    from a quicker one. Raises FleetFault, DataFault.
    """
    torch.set_num_threads(max(1, os.cpu_count() or 1))
    fleet = load_fleet(folder)
    corpus = load_rows(fleet)
    if only is not None and only != ROUTER and only not in fleet.domains:
        raise DataFault(f"there is no domain '{only}': choose one of {', '.join([*fleet.domains, ROUTER])}")
    names = [only] if only else [*fleet.domains, ROUTER]
    console = Console()
    with bars(console) as bar:
        texts = fleet_texts(fleet, corpus)
        own = texts
        if only in fleet.domains and not is_distilled(texts, cache, SPECIALIST_BASE):
            own = domain_texts(fleet, corpus, only)
        for name in names:
            if name == ROUTER:
                base = distilled_base(texts, cache, bar("base of router"), ROUTER_BASE)
                started = time.monotonic()
                card = train_router(fleet, corpus, bar(name), base)
            else:
                base = distilled_base(own, cache, bar("base"), SPECIALIST_BASE)
                started = time.monotonic()
                card = train_specialist(fleet.domains[name], corpus, bar(name), base)
            where = folder / name / "bundle"
            console.print(_line(card, size_bytes(where), time.monotonic() - started), highlight=False)


def _line(card: Card, size: int, seconds: float) -> str:
    figures = ", ".join(
        f"{100 * value:.1f} % {name}"
        for name, value in card.metrics.items()
        if name.endswith(("own.intent_accuracy", "own.passage_accuracy", "own.domain_accuracy"))
    )
    return (
        f"{card.name} {card.version}: {card.parameters / 1e6:.1f} M parameters, {size / 1e6:.1f} MB, "
        f"{seconds:.0f} s; {figures}"
    )
