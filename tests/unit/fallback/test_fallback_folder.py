"""The fallback's files: whose they are, what they hold after trouble, and how much of it there may be."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from collector_processor.errors import FallbackError, FallbackFullError
from collector_processor.fallback import Block, Folder

NOW = datetime(2026, 11, 22, 19, 59, 59, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path / "fallback", "journal", 1000)
    folder.prepare()
    return folder


def test_each_hour_has_a_file_which_is_its_owners_alone(folder: Folder) -> None:
    blocks = [
        folder.append(b"a\n", NOW),
        folder.append(b"b\nc\n", NOW),
        folder.append(b"d\n", NOW + timedelta(seconds=1)),
    ]
    first, second = folder.files()
    assert (first, second) == ("2026-11-22T19.journal.jsonl", "2026-11-22T20.journal.jsonl")
    assert blocks == [Block(first, 0, 2), Block(first, 2, 4), Block(second, 0, 2)]
    assert [folder.read(block) for block in blocks] == [[b"a"], [b"b", b"c"], [b"d"]]
    assert folder.path.stat().st_mode & 0o777 == 0o700
    assert {(folder.path / name).stat().st_mode & 0o777 for name in (first, second)} == {0o600}
    assert folder.is_ours(first)
    assert not Folder(folder.path, "other", 0).is_ours(first)


def test_a_directory_that_others_may_read_is_refused(folder: Folder) -> None:
    folder.path.chmod(0o750)
    with pytest.raises(FallbackError, match="must be yours alone"):
        folder.prepare()


def test_a_link_in_place_of_a_file_is_refused(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"")
    (folder.path / "2026-11-22T19.journal.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FallbackError, match="FALLBACK_DIR"):
        folder.append(b"a\n", NOW)
    assert (tmp_path / "elsewhere").read_bytes() == b""


def test_all_files_together_have_a_bound(folder: Folder) -> None:
    block = folder.append(b"x" * 599 + b"\n", NOW)
    folder.set_apart(block.file, [b"y" * 299])
    with pytest.raises(FallbackFullError, match="FALLBACK_MAX_BYTES"):
        folder.append(b"z" * 101, NOW + timedelta(hours=1))
    assert folder.files() == [block.file]
    folder.append(b"z" * 99 + b"\n", NOW + timedelta(hours=1))
    assert folder.used_bytes == 1000
    folder.remove(block.file)
    assert folder.used_bytes == 400


def test_after_a_torn_line_the_next_one_begins_anew(folder: Folder) -> None:
    file = folder.append(b"whole\n", NOW).file
    with (folder.path / file).open("ab") as stream:
        stream.write(b"torn")
    block = folder.append(b"next\n", NOW)
    assert folder.read(block) == [b"next"]
    assert folder.read(folder.whole(file)) == [b"whole", b"torn", b"next"]


def test_what_a_disk_refuses_is_taken_back(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    block = folder.append(b"there\n", NOW)

    def refuse(_descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(FallbackError, match="Input/output error"):
        folder.append(b"refused\n", NOW)
    assert (folder.path / block.file).read_bytes() == b"there\n"


def test_what_is_erased_leaves_the_others_where_they_stand(folder: Folder) -> None:
    first, second = folder.append(b"ada\nbob\n", NOW), folder.append(b"ada\neve\n", NOW)
    folder.blank(second, [b"ada"])
    assert (folder.read(first), folder.read(second)) == ([b"ada", b"bob"], [b"eve"])
    assert (folder.path / first.file).read_bytes() == b"ada\nbob\n   \neve\n"


def test_damaged_lines_are_kept_apart(folder: Folder) -> None:
    block = folder.append(b"damaged\n", NOW)
    folder.set_apart(block.file, [b"damaged"])
    assert (folder.files(), folder.damaged_files()) == ([block.file], [f"damaged-{block.file}"])
    assert (folder.path / f"damaged-{block.file}").read_bytes() == b"damaged\n"


def test_a_file_that_somebody_deleted_holds_nothing(folder: Folder) -> None:
    block = folder.append(b"a\n", NOW)
    folder.remove(block.file)
    assert folder.read(block) == []
