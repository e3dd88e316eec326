"""The index of training utterances that training writes: within its budget, and the same each time."""

from __future__ import annotations

import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from slmfleet.models.inference.bundle import NEIGHBOURS_FILE
from slmfleet.models.inference.encoder import Encoding
from slmfleet.models.inference.neighbours import Neighbours
from slmfleet.models.training.data import Row
from slmfleet.models.training.neighbours_fit import write_neighbours

AMPLE = 10_000_000


class HashEncoder:
    """A unit vector by the text's checksum."""

    def encode(self, text: str) -> Encoding:
        vector = np.random.default_rng(zlib.crc32(text.encode())).normal(size=384).astype(np.float32)
        empty = np.zeros((0, 0), dtype=np.float32)
        return Encoding(vector[:0], empty, vector / np.linalg.norm(vector), ())


def make_rows(count: int, template: bool = False) -> list[Row]:
    made = "made" if template else "written"
    return [
        Row(
            f"{made} {n}", ("a", "b")[n % 2], None if n % 5 == 4 else f"i{n % 5}", None, None, "own", template
        )
        for n in range(count)
    ]


def told(folder: Path) -> list[tuple[str, str]]:
    index = Neighbours.load(folder / NEIGHBOURS_FILE)
    found = index.nearest(np.asarray(HashEncoder().encode("x").embedding), len(index))
    return [(one.text, one.label) for one in found]


def test_every_row_with_a_label_is_found_by_its_own_text(tmp_path: Path) -> None:
    rows = make_rows(200)
    assert write_neighbours(tmp_path, HashEncoder(), rows, lambda row: row.intent, AMPLE) == 160
    assert sorted(told(tmp_path)) == sorted((row.text, row.intent) for row in rows if row.intent)
    nearest = Neighbours.load(tmp_path / NEIGHBOURS_FILE).nearest(
        HashEncoder().encode("written 7").embedding, 1
    )
    assert (nearest[0].text, nearest[0].label) == ("written 7", "i2")


def test_so_many_templates_of_each_label_and_all_that_people_wrote(tmp_path: Path) -> None:
    rows = [*make_rows(150, template=True), *make_rows(60)]
    assert write_neighbours(tmp_path, HashEncoder(), rows, lambda row: row.domain, AMPLE, 40) == 140
    kept = Counter((text.split()[0], label) for text, label in told(tmp_path))
    assert kept == {("made", "a"): 40, ("made", "b"): 40, ("written", "a"): 30, ("written", "b"): 30}


@pytest.mark.parametrize("most", [60_000, 80_000])
def test_rows_are_left_out_until_the_file_fits_its_budget(tmp_path: Path, most: int) -> None:
    count = write_neighbours(tmp_path, HashEncoder(), make_rows(1_500), lambda row: row.domain, most)
    size = (tmp_path / NEIGHBOURS_FILE).stat().st_size
    print(f"\n{count} rows in {size:,} bytes")
    assert 0.9 * most < size <= most
    shares = Counter(label for _, label in told(tmp_path))
    assert shares["a"] == pytest.approx(count / 2, rel=0.2)


def test_the_same_rows_make_the_same_file(tmp_path: Path) -> None:
    rows = [*make_rows(900), *make_rows(300, template=True)]
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_neighbours(tmp_path / name, HashEncoder(), rows, lambda row: row.domain, 80_000, 40)
    one, two = ((tmp_path / name / NEIGHBOURS_FILE).read_bytes() for name in ("one", "two"))
    assert one == two


def test_nothing_to_tell_leaves_no_file_of_other_rows(tmp_path: Path) -> None:
    (tmp_path / NEIGHBOURS_FILE).write_bytes(b"of another training")
    assert write_neighbours(tmp_path, HashEncoder(), make_rows(10), lambda row: None, AMPLE) == 0
    assert not (tmp_path / NEIGHBOURS_FILE).exists()
    assert write_neighbours(tmp_path, HashEncoder(), make_rows(10), lambda row: row.domain, 10) == 0
    assert not (tmp_path / NEIGHBOURS_FILE).exists()
