from __future__ import annotations

import gzip
import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest

from slmfleet.models.benchmarks.rows import SUITES_DIR, read_note, read_rows
from slmfleet.models.errors import DataFault

#: Rows by (part, split), as the sources' own descriptions count them.
COUNTS = {
    "hint3": {
        ("v1/sofmattress", "train"): 328, ("v1/sofmattress", "train_subset"): 180,
        ("v1/sofmattress", "test"): 397, ("v1/curekart", "train"): 600, ("v1/curekart", "train_subset"): 413,
        ("v1/curekart", "test"): 991, ("v1/powerplay11", "train"): 471,
        ("v1/powerplay11", "train_subset"): 261, ("v1/powerplay11", "test"): 983,
        ("v2/sofmattress", "train"): 328, ("v2/sofmattress", "test"): 397, ("v2/curekart", "train"): 599,
        ("v2/curekart", "test"): 991, ("v2/powerplay11", "train"): 471, ("v2/powerplay11", "test"): 983,
    },
    "clinc150": {
        ("", "train"): 15_000, ("", "val"): 3_000, ("", "test"): 4_500, ("", "oos_train"): 100,
        ("", "oos_val"): 100, ("", "oos_test"): 1_000, ("", "oos_train_plus"): 151,
    },
    "banking77": {("", "train"): 10_003, ("", "test"): 3_080},
    "hwu64": {("", "train"): 8_954, ("", "valid"): 1_076, ("", "test"): 1_076},
    "snips": {("", "train"): 13_084, ("", "valid"): 700, ("", "test"): 700},
}  # fmt: skip
SOURCES = (*COUNTS, "nlupp")


def test_every_folder_is_a_source_that_is_tested() -> None:
    assert sorted(path.name for path in SUITES_DIR.iterdir() if path.is_dir()) == sorted(SOURCES)


@pytest.mark.parametrize("name", COUNTS)
def test_the_rows_are_as_many_as_their_authors_say(name: str) -> None:
    rows = read_rows(SUITES_DIR / name)
    assert Counter((row.part, row.split) for row in rows) == COUNTS[name]


def test_nlupp_has_twenty_folds_of_each_part() -> None:
    rows = read_rows(SUITES_DIR / "nlupp")
    assert Counter(row.part for row in rows) == {"banking": 2_071, "hotels": 1_009}
    for part, labels in (("banking", 48), ("hotels", 40)):
        mine = [row for row in rows if row.part == part]
        assert {row.split for row in mine} == {f"fold{number}" for number in range(20)}
        assert len({label for row in mine for label in row.row.labels}) == labels


@pytest.mark.parametrize(("name", "labels"), [("banking77", 77), ("hwu64", 64)])
def test_few_shot_samples_are_so_many_of_each_label_and_the_smaller_is_within_the_larger(
    name: str, labels: int
) -> None:
    rows = [row for row in read_rows(SUITES_DIR / name) if row.split == "train"]
    for shots in (5, 10):
        counted = Counter(row.row.labels for row in rows if shots in row.shots)
        assert len(counted) == labels
        assert set(counted.values()) == {shots}
    assert all(10 in row.shots for row in rows if 5 in row.shots)


def test_slots_of_snips_begin_and_end_at_words() -> None:
    rows = [row.row for row in read_rows(SUITES_DIR / "snips")]
    assert all(row.spans is not None for row in rows)
    assert len({row.labels for row in rows}) == 7
    for row in rows:
        for span in row.spans or ():
            written = row.text[span.start : span.end]
            assert written.strip() == written != "", row
            assert row.text[: span.start][-1:] in ("", " "), row
            assert row.text[span.end :][:1] in ("", " "), row


@pytest.mark.parametrize("name", SOURCES)
def test_rows_come_with_their_licence_and_where_they_are_from(name: str) -> None:
    note = read_note(SUITES_DIR / name)
    licence = (SUITES_DIR / name / "LICENSE").read_text(encoding="utf-8")
    said = {
        "CC-BY-4.0": "Attribution 4.0 International", "CC-BY-3.0": "Attribution 3.0 Unported",
        "CC0-1.0": "CC0 1.0 Universal", "ODbL-1.0 and DbCL-1.0": "Open Database License",
    }  # fmt: skip
    assert said[note.licence] in licence
    assert note.share_alike == (name == "hint3")
    assert note.repository.startswith("github.com/")


@pytest.mark.parametrize("path", sorted(SUITES_DIR.glob("*/*.gz")), ids=lambda path: path.parent.name)
def test_packed_files_hold_neither_a_date_nor_a_name(path: Path) -> None:
    head = path.read_bytes()[:10]
    assert head[3] == 0, "no name"
    assert head[4:8] == b"\0\0\0\0", "no date"


def test_all_of_it_is_small_enough_to_ship() -> None:
    assert sum(path.stat().st_size for path in SUITES_DIR.rglob("*") if path.is_file()) < 5_000_000


NOTE = {"title": "t", "licence": "MIT", "repository": "r", "commit": "c", "changes": "none"}
GOOD = '{"text": "to paris", "labels": ["go"], "split": "train", "slots": [["city", 3, 8]]}'


def write(folder: Path, text: str, rows: int = 1, digest: str | None = None, **note: object) -> Path:
    (folder / "rows.jsonl.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    found = {**NOTE, "rows": rows, "sha256": digest or hashlib.sha256(text.encode()).hexdigest(), **note}
    (folder / "source.yaml").write_text(json.dumps(found), encoding="utf-8")
    return folder


def test_a_good_folder_is_read(tmp_path: Path) -> None:
    (row,) = read_rows(write(tmp_path, GOOD))
    assert (row.row.text, row.row.labels, row.split) == ("to paris", ("go",), "train")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (GOOD.replace("8]", "9]"), "slot city lies outside the text"),
        (GOOD.replace("3, 8", "8, 3"), "slot city lies outside the text"),
        (GOOD.replace('"split": "train", ', ""), "needs text, labels and split"),
        (GOOD.replace("to paris", "  "), "needs a non-empty 'text'"),
        ("[1]", "should be an object"),
        ("{", "is not JSON"),
    ],
)
def test_a_bad_row_is_told_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(DataFault, match=r"rows\.jsonl\.gz:1: .*" + says):
        read_rows(write(tmp_path, text))


def test_rows_that_are_not_those_of_the_note_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataFault, match="not the 2 rows"):
        read_rows(write(tmp_path, GOOD, rows=2))
    with pytest.raises(DataFault, match="not the 1 rows"):
        read_rows(write(tmp_path, GOOD, digest="0" * 64))


def test_a_broken_or_missing_file_is_told(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    packed = (tmp_path / "rows.jsonl.gz").read_bytes()
    for broken in (b"not packed", packed[:20]):
        (tmp_path / "rows.jsonl.gz").write_bytes(broken)
        with pytest.raises(DataFault, match="cannot be unpacked"):
            read_rows(tmp_path)
    with pytest.raises(DataFault, match=r"source\.yaml.*licence"):
        read_rows(write(tmp_path, GOOD, licence=None))
    with pytest.raises(DataFault, match=r"source\.yaml"):
        read_note(tmp_path / "nowhere")
