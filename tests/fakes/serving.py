"""A small shop whose models count words: real decisions, no training. For tests of what stands around models.

A text with "slowly" takes `slow_s`; one with "explode" makes the model raise. A file `<name>.broken` in
`settings.state_dir` breaks the probe of that model, in whichever process it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from slmfleet.models.contracts import (
    HAND_OFF,
    Answer,
    Decision,
    Evidence,
    Explanation,
    ModelVersion,
    Neighbour,
    Part,
    PassageMatch,
    Reading,
    Route,
)
from slmfleet.models.errors import BundleFault, ModelBroken, Unauthenticated
from slmfleet.models.fleet.config import Domain, Fleet
from slmfleet.models.fleet.loading import load_fleet
from slmfleet.models.inference.explain import ScoreBatch, explain
from slmfleet.services.pipeline.assembly import ModelFacts
from slmfleet.services.pipeline.dispatch import SpecialistModel
from slmfleet.services.pipeline.guarded_model import RouterModel
from slmfleet.services.pipeline.pipeline import Query, Replier
from slmfleet.services.settings import Settings

WORDS: dict[str, dict[str, tuple[str, ...]]] = {
    "shipping": {"track": ("where", "parcel", "track"), "speed": ("days", "fast", "express")},
    "returns": {"how": ("return", "back"), "window": ("days", "long", "refund")},
}
KEYS = {"key-of-the-shop"}


def _count(text: str, words: Sequence[str]) -> int:
    return sum(text.lower().split().count(word) for word in words)


def _explained(text: str, words: dict[str, tuple[str, ...]], threshold: float) -> Explanation:
    """Why `text` has the label whose `words` occur most."""

    def score(texts: Sequence[str]) -> ScoreBatch:
        counts = np.array([[1 + 3 * _count(one, words[label]) for label in words] for one in texts])
        chances = np.asarray(counts / counts.sum(1, keepdims=True))
        return ScoreBatch(chances, chances.max(1))

    nearest = [Neighbour(f"a row about {label}", label, 0.9) for label in words]
    return explain(score, text, list(words), threshold, nearest)


@dataclass(frozen=True)
class WordRouter:
    """Routes each sentence joined by 'and' to the domain whose words occur most."""

    folder: Path

    def route(self, text: str) -> Decision:
        started = time.thread_time()
        if "derail" in text:
            raise RuntimeError("a fault inside the router")
        parts = text.split(" and ")
        routes = [self._one(part, len(" and ".join([*parts[:n], ""]))) for n, part in enumerate(parts)]
        best = max(routes, key=lambda route: route.confidence)
        return Decision(
            routes=tuple(route for route in routes if route.confidence >= 0.3) or (best,),
            threshold=0.3,
            runner_up=(HAND_OFF, 1 - best.confidence),
            abstained=best.confidence < 0.3,
            model=ModelVersion("router", "000000000001"),
            cpu_ms=(time.thread_time() - started) * 1e3,
        )

    def explain(self, text: str) -> Explanation:
        started = time.thread_time()
        words = {domain: sum(intents.values(), ()) for domain, intents in WORDS.items()}
        return _explained(text, words, 0.3).with_cost((time.thread_time() - started) * 1e3)

    def route_whole(self, text: str) -> Decision:
        started = time.thread_time()
        route = self._one(text)
        return Decision(
            routes=(route,),
            threshold=0.3,
            runner_up=(HAND_OFF, 1 - route.confidence),
            abstained=route.confidence < 0.3,
            model=ModelVersion("router", "000000000001"),
            cpu_ms=(time.thread_time() - started) * 1e3,
        )

    def _one(self, text: str, start: int = 0) -> Route:
        counts = {
            domain: sum(_count(text, words) for words in intents.values())
            for domain, intents in WORDS.items()
        }
        domain = max(counts, key=lambda name: counts[name])
        return Route(domain, counts[domain] / (1 + sum(counts.values())), text, start)

    def probe(self) -> None:
        if (self.folder / "router.broken").exists():
            raise ModelBroken("the router model answers its probe wrongly")


@dataclass(frozen=True)
class WordSpecialist:
    """The intent whose words occur most."""

    domain: str
    folder: Path
    version: str = "000000000002"
    slow_s: float = 0.3

    def read(self, text: str) -> Reading:
        started = time.thread_time()
        if "slowly" in text:
            time.sleep(self.slow_s)
        if "explode" in text:
            raise RuntimeError("a fault inside the model with /secret/path")
        counts = {intent: _count(text, words) for intent, words in WORDS[self.domain].items()}
        intent = max(counts, key=lambda name: counts[name])
        return Reading(
            domain=self.domain,
            intent=intent,
            confidence=(1 + counts[intent]) / (len(counts) + sum(counts.values())),
            slots=(),
            passages=(PassageMatch(intent, 0.9),),
            model=ModelVersion(self.domain, self.version),
            intent_is_sure=counts[intent] > 0,
            passage_is_evidence=counts[intent] > 0,
            cpu_ms=(time.thread_time() - started) * 1e3,
        )

    def reindex(self, domain: Domain) -> None:
        """It knows no passages."""

    def explain(self, text: str) -> Explanation:
        started = time.thread_time()
        if "opaque" in text:
            raise RuntimeError("a fault while explaining")
        explanation = _explained(text, WORDS[self.domain], 0.4)
        return explanation.with_cost((time.thread_time() - started) * 1e3)

    def probe(self) -> None:
        if (self.folder / f"{self.domain}.broken").exists():
            raise ModelBroken(f"the {self.domain} model answers its probe wrongly")


class WordReplier:
    """Quotes the passage of each intent, and says who asks."""

    def reply(self, query: Query, decision: Decision, readings: Sequence[Reading]) -> Answer:
        if not readings:
            return Answer("handed_off", "A person will answer.")
        parts = tuple(
            Part(
                reading.domain,
                reading.intent,
                reading.confidence,
                reading.slots,
                "answered",
                f"About {reading.intent}, {query.customer or 'stranger'}.",
                (Evidence("knowledge", reading.intent, reading.intent),),
                reading.model,
            )
            for reading in readings
        )
        return Answer("answered", " ".join(part.text for part in parts), parts)


@dataclass(frozen=True)
class WordParts:
    """`Parts` of the word shop. `unloadable` names a domain whose bundle is damaged."""

    with_keys: bool = False
    unloadable: str = ""
    slow_s: float = 0.3

    def fleet(self, settings: Settings) -> Fleet:
        return load_fleet(settings.fleet_dir)

    def router(self, settings: Settings, fleet: Fleet) -> tuple[RouterModel, ModelFacts]:
        return WordRouter(settings.state_dir), ModelFacts("000000000001", 12, 120, {"accuracy": 1.0}, 0.3)

    def specialist(self, settings: Settings, fleet: Fleet, domain: str) -> tuple[SpecialistModel, ModelFacts]:
        if domain == self.unloadable or (settings.state_dir / f"{domain}.unloadable").exists():
            raise BundleFault(
                f"{domain}/bundle/bundle.json: there is no bundle; make one with `slmfleet train`"
            )
        stamp = settings.state_dir / "version"
        version = stamp.read_text() if stamp.exists() else "000000000002"
        model = WordSpecialist(domain, settings.state_dir, version, self.slow_s)
        return model, ModelFacts(version, 6, 60, {"accuracy": 0.9})

    def replier(self, settings: Settings, fleet: Fleet) -> Replier:
        return WordReplier()

    def customer_of(self, settings: Settings) -> Callable[[str], str]:
        return _customer_of

    def check_key(self, settings: Settings) -> Callable[[str], None] | None:
        return _check_key if self.with_keys else None


def _customer_of(token: str) -> str:
    if not token.startswith("token-of-"):
        raise Unauthenticated("the customer's token is forged or expired; sign in again")
    return token.removeprefix("token-of-")


def _check_key(key: str) -> None:
    if key not in KEYS:
        raise Unauthenticated("the API key is not known here")


def word_app(args: dict[str, str]) -> object:
    """The word shop as an import path of a Serve config; `args` are fields of Settings."""
    from slmfleet.services.serve.app import build_app

    return build_app(Settings.model_validate(args), WordParts())


def write_word_shop(folder: Path, cacheable: str = "never") -> Path:
    """The word shop's fleet.yaml, domains and knowledge, under `folder`. Returns `folder`."""
    wording = (
        "out_of_scope handed_off unsure needs_identity needs_order no_orders unknown_order needs_product "
        "no_evidence"
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "fleet.yaml").write_text(
        "retailer: Words & Sons\n"
        "support: {phone: '555', hours: never}\n"
        f"domains: [{', '.join(WORDS)}]\n"
        "wording:\n" + "".join(f"  {name}: Please call.\n" for name in wording.split())
    )
    for domain, intents in WORDS.items():
        (folder / domain).mkdir(exist_ok=True)
        (folder / domain / "domain.yaml").write_text(
            f"domain: {domain}\ntitle: {domain.title()}\nintents:\n"
            + "".join(
                f"  {name}: {{description: {name}, cacheable: {cacheable}, passages: [{name}]}}\n"
                for name in intents
            )
        )
        (folder / domain / "knowledge.md").write_text(
            "".join(f"## {name}\n\nAll about {name}.\n\n" for name in intents)
        )
    return folder
