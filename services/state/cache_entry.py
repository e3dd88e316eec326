"""What an entry of the answer cache is, which answers may become one, and the keys that it is found by."""

from __future__ import annotations

import hashlib
import time
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from slmfleet.models.fleet.config import Fleet
from slmfleet.services.schemas import AnswerBody

#: Part of each key: raised when an entry's format changes.
SCHEMA: Final = 1


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """A cached answer without session or customer.

    `versions`: domain -> version of the knowledge it quotes. `turn`: what a session remembers of it, as JSON.
    `until`: when it expires, in seconds since 1970.
    """

    body: AnswerBody
    versions: dict[str, str]
    turn: dict[str, Any] | None
    until: float

    @property
    def ttl_s(self) -> float:
        """Seconds until it expires."""
        return max(0.0, self.until - time.time())

    @property
    def domains(self) -> list[str]:
        """Domains whose knowledge it quotes; `-` for an answer that quotes none."""
        return list(self.versions) or ["-"]

    def packed(self) -> bytes:
        """The entry as JSON, as the server stores it."""
        body = self.body.model_dump(mode="json")
        fields = {"body": body, "versions": self.versions, "turn": self.turn, "until": self.until}
        return orjson.dumps(fields)

    @classmethod
    def unpacked(cls, packed: bytes) -> CacheEntry:
        """The entry of what `packed` returned."""
        fields = orjson.loads(packed)
        body = AnswerBody.model_validate(fields["body"])
        return cls(body, fields["versions"], fields["turn"], fields["until"])


def is_shareable(body: AnswerBody, fleet: Fleet) -> bool:
    """Whether anyone who asks the same may get this answer.

    Its intents are marked `cacheable: shared`, it has no slots, and it quotes knowledge only.
    """
    for part in body.parts:
        domain = fleet.domains.get(part.domain)
        if domain is None or domain.config.intents[part.intent].cacheable != "shared" or part.slots:
            return False
        if any(evidence.kind != "knowledge" for evidence in part.evidence):
            return False
    # An answer that needs input either offers passages to anyone, or asks for the customer's own data and has
    # no evidence.
    return body.status in ("answered", "handed_off", "out_of_scope", "needs_input") and all(
        part.status in ("answered", "handed_off") or (part.status == "needs_input" and part.evidence)
        for part in body.parts
    )


def text_key(text: str) -> str:
    """32 hex digits of a text: equal for texts that differ in case, Unicode form or white space only."""
    plain = " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).split())
    return hashlib.sha256(plain.encode()).hexdigest()[:32]


def models_key(fleet: Fleet, models: Mapping[str, str], locale: str) -> str:
    """16 hex digits of everything but text and knowledge that an answer depends on.

    `models`: name -> version of the router's bundle and of each specialist's.
    """
    parts = [SCHEMA, fleet.config.model_dump(mode="json"), sorted(models.items()), locale]
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()[:16]
