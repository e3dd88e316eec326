"""The rows that an evaluation or a training needs, and what to do where there are none."""

from __future__ import annotations

from pathlib import Path

from slmfleet.models.benchmarks.rows import SUITES_DIR
from slmfleet.models.errors import DataFault
from slmfleet.models.fleet.config import Fleet
from slmfleet.models.training.data import Corpus, load_corpus
from slmfleet.services.settings import SHOP_DIR

_IN_THE_REPOSITORY = "an installed slmfleet carries none, they are in its repository (git clone)"


def has_rows(corpus: Corpus) -> bool:
    """Whether there is any row to train or to measure on."""
    return bool(corpus.train or corpus.test)


def no_rows(folder: Path) -> str:
    """A sentence about a fleet's folder without rows."""
    remedy = "write DOMAIN/utterances.jsonl and DOMAIN/test.jsonl"
    return f"{folder}: no training or test rows; {_IN_THE_REPOSITORY if folder == SHOP_DIR else remedy}"


def load_rows(fleet: Fleet) -> Corpus:
    """The fleet's rows. Raises DataFault where one cannot be used, or where there are none at all."""
    corpus = load_corpus(fleet)
    if not has_rows(corpus):
        raise DataFault(no_rows(fleet.folder))
    return corpus


def require_suites() -> None:
    """Raises DataFault where the published data sets are not installed."""
    if not SUITES_DIR.is_dir():
        raise DataFault(f"{SUITES_DIR}: no published data sets; {_IN_THE_REPOSITORY}")
