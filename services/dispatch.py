"""How a routed text reaches its specialist: in this process, or in another one."""

from __future__ import annotations

from typing import Protocol

from slmfleet.models.contracts import Reading


class Dispatcher(Protocol):
    """Brings a text to the specialist of its domain."""

    @property
    def domains(self) -> frozenset[str]:
        """Domains that have a specialist here."""
        ...

    async def read(self, domain: str, text: str) -> Reading:
        """What the domain's specialist makes of `text`. Raises ModelBroken, Overloaded."""
        ...

    async def faults(self) -> dict[str, str | None]:
        """Domain -> None when its specialist passes its probe, else what is wrong."""
        ...
