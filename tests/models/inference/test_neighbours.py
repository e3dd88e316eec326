"""Nearest training utterances from a file that is small, the same each time, and read only when asked."""

from __future__ import annotations

import random
import string
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from slmfleet.models.errors import BundleFault
from slmfleet.models.inference.neighbours import Neighbours, NeighboursFile

WIDTH = 384


def clustered(rows: int, seed: int, clusters: int = 60) -> NDArray[np.float64]:
    """Unit vectors around `clusters` centres."""
    dice = np.random.default_rng(seed)
    centres = dice.normal(size=(clusters, WIDTH))
    vectors = centres[dice.integers(clusters, size=rows)] + 0.5 * dice.normal(size=(rows, WIDTH))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def near(vectors: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Each vector a little moved, unit again."""
    moved = vectors + 0.01 * np.random.default_rng(seed).normal(size=vectors.shape)
    return np.asarray(moved / np.linalg.norm(moved, axis=1, keepdims=True))


def built(rows: int, seed: int = 1) -> tuple[Neighbours, NDArray[np.float64]]:
    vectors = clustered(rows, seed)
    return Neighbours.build(
        [f"row {n}" for n in range(rows)], [f"l{n % 7}" for n in range(rows)], vectors
    ), vectors


def test_twelve_thousand_rows_fit_the_budget(tmp_path: Path) -> None:
    dice = random.Random(2)
    # Letters by dice compress far worse than sentences: the worst case of this length.
    texts = ["".join(dice.choices(string.ascii_lowercase + " ", k=45)) for _ in range(12_000)]
    Neighbours.build(texts, ["returns"] * 12_000, clustered(12_000, 3)).save(tmp_path / "neighbours.npz")
    size = (tmp_path / "neighbours.npz").stat().st_size
    print(f"\n{size:,} bytes")
    assert size <= 1_300_000


def test_the_nearest_is_the_one_that_the_exact_cosine_finds(tmp_path: Path) -> None:
    index, vectors = built(3_000)
    index.save(tmp_path / "neighbours.npz")
    index = Neighbours.load(tmp_path / "neighbours.npz")
    picked = np.random.default_rng(5).choice(3_000, 400, replace=False)
    asked = near(vectors[picked], 6)
    exact = asked @ vectors.T
    found = [index.nearest(one, 1)[0] for one in asked]
    agreed = np.mean([one.text == f"row {top}" for one, top in zip(found, exact.argmax(1), strict=True)])
    print(f"\ntop-1 agreement {agreed:.3f}")
    assert agreed >= 0.95
    assert found[0].label == f"l{exact[0].argmax() % 7}"


def test_similarity_is_a_cosine_and_falls() -> None:
    index, vectors = built(500)
    found = index.nearest(vectors[3], 20)
    assert len(found) == 20
    similarities = [one.similarity for one in found]
    assert similarities == sorted(similarities, reverse=True)
    place = {f"row {n}": n for n in range(500)}
    for one in found:
        assert one.similarity == pytest.approx(vectors[place[one.text]] @ vectors[3], abs=0.2)


def test_the_same_rows_make_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one.npz", "two.npz"):
        built(300)[0].save(tmp_path / name)
    built(300, seed=9)[0].save(tmp_path / "other.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    assert (tmp_path / "one.npz").read_bytes() != (tmp_path / "other.npz").read_bytes()


def test_texts_come_back_as_written_and_equal_ones_once(tmp_path: Path) -> None:
    texts = ["wo ist's? 📦", "", "a\nb", "a\nb", "a\nb"]
    vectors = near(np.repeat(clustered(1, 4), 5, axis=0), 8)
    index = Neighbours.build(texts, ["x", "y", "z", "z", "y"], vectors)
    index.save(tmp_path / "n.npz")
    found = Neighbours.load(tmp_path / "n.npz").nearest(vectors[0], 10)
    told = [("", "y"), ("a\nb", "y"), ("a\nb", "z"), ("wo ist's? 📦", "x")]
    assert sorted((one.text, one.label) for one in found) == told
    assert index.nearest(vectors[0], 0) == []


def test_no_rows_have_no_neighbours_and_unequal_lengths_are_refused() -> None:
    assert Neighbours.build([], [], np.zeros((0, WIDTH))).nearest(np.ones(WIDTH), 3) == []
    with pytest.raises(ValueError, match="2 texts, 1 labels"):
        Neighbours.build(["a", "b"], ["x"], clustered(2, 1))


def test_a_file_is_read_at_the_first_query_and_then_kept(tmp_path: Path) -> None:
    index, vectors = built(50)
    file = NeighboursFile(tmp_path / "neighbours.npz")
    index.save(tmp_path / "neighbours.npz")
    assert file.nearest(vectors[0], 1)[0].text == "row 0"
    (tmp_path / "neighbours.npz").unlink()
    assert file.nearest(vectors[1], 1)[0].text == "row 1"


def test_a_missing_file_is_no_fault_and_a_damaged_one_is(tmp_path: Path) -> None:
    assert NeighboursFile(tmp_path / "none.npz").nearest(np.ones(WIDTH), 3) == []
    built(50)[0].save(tmp_path / "n.npz")
    whole = (tmp_path / "n.npz").read_bytes()
    for damaged in (b"", b"PK damaged", whole[: len(whole) // 2], whole[:3000] + b"\0" * 50 + whole[3050:]):
        (tmp_path / "n.npz").write_bytes(damaged)
        with pytest.raises(BundleFault, match=r"n\.npz"):
            NeighboursFile(tmp_path / "n.npz").nearest(np.ones(WIDTH), 3)
