from __future__ import annotations

from pathlib import Path

import pytest

from slmfleet.models.atomic_file import atomic_write


def test_the_old_file_is_there_until_the_new_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    path.write_text("old")
    with atomic_write(path) as fresh:
        assert fresh.suffix == ".npz"  # some writers append their own where it is another
        fresh.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("before", ["old", None])
def test_after_an_error_nothing_has_changed(tmp_path: Path, before: str | None) -> None:
    path = tmp_path / "run.npz"
    if before is not None:
        path.write_text(before)

    def interrupted() -> None:
        with atomic_write(path) as fresh:
            fresh.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [kept.read_text() for kept in tmp_path.iterdir()] == ([before] if before else [])


def test_what_a_killed_process_left_is_not_in_the_way(tmp_path: Path) -> None:
    path = tmp_path / "token"
    with atomic_write(path) as fresh:
        left = fresh
        fresh.write_text("one")
    left.write_text("half")
    with atomic_write(path) as fresh:
        assert not fresh.exists()
        fresh.write_text("two")
    assert path.read_text() == "two"
