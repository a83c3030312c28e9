"""A pattern is compiled once a machine; a cache that can't be used or trusted costs time and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import hyperscan
import pytest

from collector_processor.app.automata import KEPT, Automata
from collector_processor.guard.privacy.engines import Hyperscan

EXPRESSIONS = [rb"\bcat\b", rb"(?i)dog"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "automata"


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each compilation."""
    times: list[int] = []

    class Counted(hyperscan.Database):
        def compile(self, *args: object, **options: object) -> None:
            times.append(1)
            super().compile(*args, **options)

    monkeypatch.setattr(hyperscan, "Database", Counted)
    return times


def test_the_second_is_read(folder: Path, compiled: list[int]) -> None:
    for _ in range(2):
        engine = Hyperscan(EXPRESSIONS, Automata(folder))
        assert engine.present(b"a cat, a DOG") == {0, 1}
        assert engine.present(b"concatenate") == set()
    assert len(compiled) == 1
    assert [path.stat().st_mode & 0o777 for path in (folder, *folder.iterdir())] == [0o700, 0o600]


def test_other_expressions_are_another_file(folder: Path, compiled: list[int]) -> None:
    Hyperscan(EXPRESSIONS, Automata(folder))
    assert Hyperscan([rb"bird"], Automata(folder)).present(b"a bird and a cat") == {0}
    assert len(compiled) == 2


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-300]),
        lambda path: path.write_bytes(path.read_bytes()[:-300] + b"x" * 300),
        lambda path: path.chmod(0o666),
        lambda path: path.parent.chmod(0o777),
        lambda path: (path.unlink(), path.symlink_to("/dev/zero")),
    ],
    ids=["empty", "short", "damaged", "writable", "in a writable folder", "link"],
)
def test_a_file_that_cant_be_trusted_is_not_used(
    folder: Path, compiled: list[int], spoil: Callable[[Path], object]
) -> None:
    Hyperscan(EXPRESSIONS, Automata(folder))
    (path,) = folder.iterdir()
    spoil(path)
    assert Hyperscan(EXPRESSIONS, Automata(folder)).present(b"a cat") == {0}
    assert len(compiled) == 2


def test_without_a_folder_it_is_compiled(tmp_path: Path, compiled: list[int]) -> None:
    (tmp_path / "file").touch()
    assert Hyperscan(EXPRESSIONS, Automata(tmp_path / "file")).present(b"a cat") == {0}
    assert len(compiled) == 1


def test_old_ones_go(folder: Path) -> None:
    for number in range(KEPT + 3):
        Automata(folder).put(str(number), b"content")
        for path in folder.iterdir():
            os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 10))
    assert sorted(path.name for path in folder.iterdir()) == [str(number) for number in range(3, KEPT + 3)]
