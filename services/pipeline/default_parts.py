"""The parts that slmfleet ships: the trained router and specialists, the replier, records and identity.

Imported lazily, so that a process loads only the libraries of the parts it holds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from slmfleet.models.errors import NotFound
from slmfleet.models.fleet.config import Fleet
from slmfleet.models.fleet.loading import load_fleet
from slmfleet.services.pipeline.assembly import ModelFacts
from slmfleet.services.pipeline.dispatch import SpecialistModel
from slmfleet.services.pipeline.guarded_model import RouterModel
from slmfleet.services.pipeline.pipeline import Replier
from slmfleet.services.settings import Settings

if TYPE_CHECKING:
    from slmfleet.models.inference.specialist import Specialist as Shipped
    from slmfleet.router.classifier import Router
    from slmfleet.services.identity import Issuer


class DefaultFactory:
    """`Parts` from the folder of the fleet and its bundles."""

    def fleet(self, settings: Settings) -> Fleet:
        """The checked configuration. Raises FleetFault."""
        return load_fleet(settings.fleet_dir)

    def router(self, settings: Settings, fleet: Fleet) -> tuple[RouterModel, ModelFacts]:
        """The router of the fleet's bundle. Raises BundleFault, ModelBroken."""
        from slmfleet.router.classifier import Router

        router = Router.of(fleet)
        return router, _facts(router)

    def specialist(self, settings: Settings, fleet: Fleet, domain: str) -> tuple[SpecialistModel, ModelFacts]:
        """The domain's specialist from its bundle. Raises BundleFault, ModelBroken."""
        from slmfleet.models.inference.specialist import Specialist as Shipped

        specialist = Shipped.load(fleet.domains[domain])
        return specialist, _facts(specialist)

    def replier(self, settings: Settings, fleet: Fleet) -> Replier:
        """The replier over the fleet's policies and the order records. Raises SettingsFault, FleetFault."""
        from slmfleet.services.pipeline.reply import Replier as Shipped
        from slmfleet.services.records.store import open_records

        seed = fleet.folder / "records"
        return Shipped(fleet, open_records(settings.resolved_records_url(), seed if seed.is_dir() else None))

    def customer_of(self, settings: Settings) -> Callable[[str], str]:
        """Verification of customer tokens under the settings' secret."""
        return _issuer(settings).customer

    def token_for(self, settings: Settings, customer: str) -> str:
        """A token of the demonstration issuer for a customer on record. Raises NotFound."""
        from slmfleet.services.records.store import open_records

        fleet = self.fleet(settings)
        seed = fleet.folder / "records"
        records = open_records(settings.resolved_records_url(), seed if seed.is_dir() else None)
        try:
            if records.customer(customer) is None:
                raise NotFound(f"there is no customer '{customer}' on record")
        finally:
            records.close()
        return _issuer(settings).token(customer)

    def check_key(self, settings: Settings) -> Callable[[str], None] | None:
        """Verification of API keys when any is configured."""
        from slmfleet.services.identity import ApiKeys

        keys = settings.api_key_set()
        return ApiKeys(keys).check if keys else None


def _issuer(settings: Settings) -> Issuer:
    from slmfleet.services.identity import Issuer, load_secret

    given = settings.token_secret
    return Issuer(
        given.get_secret_value().encode() if given else load_secret(settings.state_dir / "token.secret")
    )


def _facts(model: object) -> ModelFacts:
    card = model.card  # type: ignore[attr-defined]
    return ModelFacts(
        version=card.version,
        parameters=card.parameters,
        bytes=model.bytes,  # type: ignore[attr-defined]
        metrics=dict(card.metrics),
        threshold=card.threshold,
    )


def load_models(fleet: Fleet) -> tuple[Router, dict[str, Shipped]]:
    """Router and specialists of a fleet, each having passed its probe. Raises BundleFault, ModelBroken."""
    from slmfleet.models.inference.specialist import Specialist as Shipped
    from slmfleet.router.classifier import Router

    specialists = {name: Shipped.load(domain) for name, domain in fleet.domains.items()}
    return Router.of(fleet), specialists
