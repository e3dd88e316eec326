"""The tasks of every suite, cut from the shipped rows as their authors cut them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from slmfleet.models.benchmarks.published import PublishedFigures, load_published
from slmfleet.models.benchmarks.rows import SUITES_DIR, SourceRow, read_note, read_rows
from slmfleet.models.benchmarks.task import Kind, Suite, SuiteRow, Task
from slmfleet.models.contracts import OUT_OF_SCOPE
from slmfleet.models.errors import NotFound
from slmfleet.models.fleet.loading import load_fleet
from slmfleet.models.text.normalise import fingerprint
from slmfleet.models.training.data import Corpus, load_corpus

HINT3_RETAILERS: Final = ("sofmattress", "curekart", "powerplay11")
#: The retailers of HINT3 whose labels the demonstration shop knows as its domains.
TRANSFER_RETAILERS: Final = ("sofmattress", "curekart")
#: What two requests are joined with.
CONNECTORS: Final = (" and ", ", and also ", " then ", ". ")
JOINED_PAIRS: Final = 1_000
#: The "10-fold" setup of NLU++'s authors: train on a pair of the 20 folds, test on the other 18. They take
#: the mean over the ten pairs; here it is the first pair only, which costs a tenth.
NLUPP_TRAIN_FOLDS: Final = ("fold0", "fold1")


def load_suite(name: str, fleet: Path | None = None) -> Suite:
    """The suite of that name; `fleet` is the retailer's folder that `transfer` is about.

    Raises NotFound, listing the names there are; DataFault, FleetFault where rows cannot be read.
    """
    if name == "transfer" and fleet is not None:
        corpus = load_corpus(load_fleet(fleet))
        tasks = transfer_tasks(corpus, load_published())
        return Suite(name, _TITLES[name], tasks, corpus.licences)
    if name not in _MAKERS:
        raise NotFound(f"there is no suite '{name}': choose one of {', '.join(SUITES)}, or shop")
    source = name.partition("-")[0]
    folder = SUITES_DIR / source
    tasks = _MAKERS[name](name, read_rows(folder), load_published())
    return Suite(name, _TITLES[name], tasks, {source: read_note(folder).licence})


def make_task(
    suite: str, name: str, published: PublishedFigures, *, train: Iterable[SuiteRow],
    test: Iterable[SuiteRow], validation: Iterable[SuiteRow] = (), kind: Kind = "single",
    out_of_scope: str | None = None, reader: str | None = None,
) -> Task:  # fmt: skip
    """A task without those training and validation rows that are near-duplicates of its test rows."""
    all_train, tested = tuple(train), tuple(test)
    clean_train = without_twins(all_train, tested)
    return Task(
        suite=suite,
        name=name,
        kind=kind,
        train=clean_train,
        validation=without_twins(validation, tested),
        test=tested,
        out_of_scope=out_of_scope,
        reader=reader or name,
        dropped=len(all_train) - len(clean_train),
        twins=len(rows_with_twins(all_train, tested)),
        published=published.figures_of(suite, name),
        goals=published.goals_of(suite, name),
    )


def rows_with_twins(train: Iterable[SuiteRow], test: Iterable[SuiteRow]) -> list[str]:
    """The test texts that have a near-duplicate in training, in order; one each test row."""
    known = {_key(row.text) for row in train}
    return [row.text for row in test if _key(row.text) in known]


def without_twins(train: Iterable[SuiteRow], test: Iterable[SuiteRow]) -> tuple[SuiteRow, ...]:
    """The training rows that no test row is a near-duplicate of."""
    tested = {_key(row.text) for row in test}
    return tuple(row for row in train if _key(row.text) not in tested)


def _key(text: str) -> str:
    # A text of punctuation or emoji alone has an empty fingerprint; two of them are not near-duplicates.
    return fingerprint(text) or text


def join_rows(rows: Sequence[SuiteRow], pairs: int, seed: int = 0) -> tuple[SuiteRow, ...]:
    """`pairs` different texts, each of two rows of different labels and a connector between them."""
    dice = random.Random(seed)  # noqa: S311 - a seeded sample, not a secret
    joined: dict[str, SuiteRow] = {}
    while len(joined) < pairs:
        first, second = dice.sample(rows, 2)
        text = first.text + dice.choice(CONNECTORS) + second.text
        if first.labels != second.labels:
            joined.setdefault(text, SuiteRow(text, first.labels + second.labels))
    return tuple(joined.values())


def transfer_tasks(corpus: Corpus, published: PublishedFigures) -> tuple[Task, ...]:
    """One task a retailer: the shop's router without that retailer's rows, on its customers' questions.

    Labels are domains (`hand_off` is one). Only rows in scope are tested; out of scope is measured in
    hint3-v1 and hint3-v2.
    """
    tasks = []
    for retailer in TRANSFER_RETAILERS:
        source = f"hint3/{retailer}"
        train = [
            SuiteRow(row.text, (row.domain,)) for row in corpus.train if not row.source.startswith(source)
        ]
        test = [
            SuiteRow(row.text, (row.domain,))
            for row in corpus.test
            if row.source == source and row.domain != OUT_OF_SCOPE
        ]
        tasks.append(
            make_task("transfer", retailer, published, train=train, test=test, out_of_scope=OUT_OF_SCOPE)
        )
    return tuple(tasks)


def _of(rows: Iterable[SourceRow], *splits: str, part: str = "", shots: int | None = None) -> list[SuiteRow]:
    return [
        row.row
        for row in rows
        if row.split in splits and row.part == part and (shots is None or shots in row.shots)
    ]


def _hint3(suite: str, rows: list[SourceRow], published: PublishedFigures) -> tuple[Task, ...]:
    version = suite.partition("-")[2]
    return tuple(
        make_task(
            suite, retailer, published, out_of_scope="NO_NODES_DETECTED",
            train=_of(rows, "train", part=f"{version}/{retailer}"),
            test=_of(rows, "test", part=f"{version}/{retailer}"),
        )
        for retailer in HINT3_RETAILERS
    )  # fmt: skip


def _clinc150(suite: str, rows: list[SourceRow], published: PublishedFigures) -> tuple[Task, ...]:
    train = {"full": ("train", "oos_train"), "oos-plus": ("train", "oos_train", "oos_train_plus")}
    return tuple(
        make_task(
            suite, name, published, out_of_scope="oos", train=_of(rows, *splits),
            validation=_of(rows, "val", "oos_val"), test=_of(rows, "test", "oos_test"),
        )
        for name, splits in train.items()
    )  # fmt: skip


def _with_shots(suite: str, rows: list[SourceRow], published: PublishedFigures) -> tuple[Task, ...]:
    # Whoever has five rows a label has no validation split either.
    return tuple(
        make_task(
            suite, "full" if shots is None else f"{shots}-shot", published,
            train=_of(rows, "train", shots=shots), test=_of(rows, "test"),
            validation=_of(rows, "valid") if shots is None else (),
        )
        for shots in (None, 10, 5)
    )  # fmt: skip


def _snips(suite: str, rows: list[SourceRow], published: PublishedFigures) -> tuple[Task, ...]:
    train, validation, test = _of(rows, "train"), _of(rows, "valid"), _of(rows, "test")
    whole = make_task(suite, "intents+slots", published, train=train, validation=validation, test=test)
    joined = make_task(
        suite, "joined", published, kind="joined", reader=whole.name, test=join_rows(test, JOINED_PAIRS),
        train=whole.train, validation=whole.validation,
    )  # fmt: skip
    return whole, joined


def _nlupp(suite: str, rows: list[SourceRow], published: PublishedFigures) -> tuple[Task, ...]:
    folds = [f"fold{number}" for number in range(20)]
    return tuple(
        make_task(
            suite, part, published, kind="multi", train=_of(rows, *NLUPP_TRAIN_FOLDS, part=part),
            test=_of(rows, *(fold for fold in folds if fold not in NLUPP_TRAIN_FOLDS), part=part),
        )
        for part in ("banking", "hotels")
    )  # fmt: skip


_MAKERS: Final[Mapping[str, Callable[[str, list[SourceRow], PublishedFigures], tuple[Task, ...]]]] = {
    "hint3-v1": _hint3,
    "hint3-v2": _hint3,
    "clinc150": _clinc150,
    "banking77": _with_shots,
    "hwu64": _with_shots,
    "snips": _snips,
    "nlupp": _nlupp,
}
_TITLES: Final[Mapping[str, str]] = {
    "hint3-v1": "HINT3 version 1, the labels of the published results: real customers, much out of scope",
    "hint3-v2": "HINT3 version 2, labels corrected by its authors",
    "clinc150": "CLINC150: 150 intents and what is none of them",
    "banking77": "BANKING77: 77 intents close to each other",
    "hwu64": "HWU64: 64 intents of a home assistant",
    "snips": "SNIPS: seven intents and their slots, and two requests in one text",
    "nlupp": "NLU++: several intents at once, few training rows",
    "transfer": "Transfer: the shop's domains for customers of another shop, none of whose rows it has seen",
}
#: The names that `load_suite` takes.
SUITES: Final = (*_MAKERS, "transfer")
