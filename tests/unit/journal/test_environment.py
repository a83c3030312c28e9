"""Opening the journal: one owner, owner-only files, and a clear refusal of what can't be used."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import lmdb
import pytest

from collector_processor.errors import DamagedEntryError, JournalError, JournalInUseError
from collector_processor.journal.cipher import Decryption
from collector_processor.journal.commit import GroupCommit
from collector_processor.journal.environment import Environment
from collector_processor.journal.format import (
    NONCE,
    PART,
    FragmentKey,
    cut,
    fragment_key,
    parse_fragment_key,
    stored_of,
)
from collector_processor.journal.reader import View, read_counters, read_fragment
from collector_processor.journal.transaction import Transaction
from collector_processor.model.stages import HEADER, Fragment, FragmentFlag

SIZE = 1 << 20
TRACE = bytes(15) + b"\1"


def fragment(payload: bytes = b"spans") -> Fragment:
    headers = HEADER.pack(bytes(7) + b"\2", bytes(8), 1, len(payload))
    return Fragment(TRACE, FragmentFlag.TASK, headers, payload)


def test_files_are_the_owners_alone(tmp_path: Path) -> None:
    with Environment(tmp_path / "journal", SIZE) as environment:
        environment.keys.make(1)
        paths = [tmp_path / "journal", *(tmp_path / "journal").rglob("*")]
        assert environment.keys.path(1) in paths
        for path in paths:
            assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.parametrize("name", ["", "data.mdb", "keys", "keys/1"])
def test_what_others_could_read_is_refused_with_the_way_to_mend_it(tmp_path: Path, name: str) -> None:
    with Environment(tmp_path / "journal", SIZE) as environment:
        environment.keys.make(1)
    path = tmp_path / "journal" / name
    path.chmod(path.stat().st_mode | 0o040)
    with pytest.raises(JournalError, match=r"open to other users \(mode 07?6?40\): `chmod go= .*`") as refused:
        Environment(tmp_path / "journal", SIZE)
    subprocess.run(str(refused.value).split("`")[1], shell=True, check=True)
    with Environment(tmp_path / "journal", SIZE):
        pass


def test_a_second_owner_is_refused(tmp_path: Path) -> None:
    with Environment(tmp_path, SIZE), pytest.raises(JournalInUseError, match="DATA_DIR"):
        Environment(tmp_path, SIZE)
    with Environment(tmp_path, SIZE):
        pass


def test_a_folder_that_cannot_be_made_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match="set DATA_DIR"):
        Environment(tmp_path / "file" / "journal", SIZE)


def test_a_journal_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    with Environment(tmp_path, SIZE) as environment, environment.lmdb.begin(write=True) as transaction:
        transaction.put(b"version", b"99", db=environment.databases["meta"])
    before = (tmp_path / "data.mdb").read_bytes()
    with pytest.raises(JournalError, match="format 99"):
        Environment(tmp_path, SIZE)
    assert (tmp_path / "data.mdb").read_bytes() == before


def test_a_truncated_file_is_refused_after_an_unclean_stop_and_left_alone(tmp_path: Path) -> None:
    with Environment(tmp_path, SIZE) as environment, environment.lmdb.begin(write=True) as transaction:
        for number in range(2000):
            transaction.put(b"%08d" % number, bytes(100), db=environment.databases["dead"])
    (tmp_path / "clean").unlink()
    os.truncate(tmp_path / "data.mdb", 64 * 1024)
    with pytest.raises(JournalError, match="damaged"):
        Environment(tmp_path, SIZE)
    assert (tmp_path / "data.mdb").stat().st_size == 64 * 1024


@pytest.mark.parametrize(("deaths", "opened"), [(2, True), (3, False)])
def test_a_check_that_others_kill_is_repeated_and_says_nothing_of_the_file(tmp_path, monkeypatch, deaths, opened):
    Environment(tmp_path / "journal", SIZE).close()
    (tmp_path / "journal" / "clean").unlink()
    killed = tmp_path / "python"
    killed.write_text(f"""#!/bin/sh
        echo >> {tmp_path}/starts
        [ $(wc -l < {tmp_path}/starts) -gt {deaths} ] || kill -KILL $$
        exec {sys.executable} "$@"
    """)
    killed.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(killed))
    with nullcontext() if opened else pytest.raises(JournalError, match=r"was killed 3 times .* start again"):
        Environment(tmp_path / "journal", SIZE).close()


def test_the_identity_lives_as_long_as_the_folder(tmp_path: Path) -> None:
    with Environment(tmp_path / "a", SIZE) as first, Environment(tmp_path / "b", SIZE) as second:
        known = first.identity
        assert known != second.identity
    with Environment(tmp_path / "a", SIZE) as again:
        assert again.identity == known


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 3 * PART + 7])
def test_values_are_cut_into_parts(size: int) -> None:
    value = os.urandom(size)
    parts = list(cut(value))
    assert all(len(part) <= PART for part in parts)
    assert parts
    assert b"".join(parts) == value


class TestGroupCommit:
    @pytest.fixture
    def commit(self, tmp_path: Path):
        with Environment(tmp_path, SIZE) as environment:
            commit = GroupCommit(environment)
            commit.start()
            yield commit
            commit.stop()

    def test_what_was_acknowledged_is_on_disk(self, tmp_path: Path) -> None:
        with Environment(tmp_path, SIZE) as environment:
            commit = GroupCommit(environment)
            commit.start()
            stored = commit.submit(lambda transaction: transaction.append(fragment(os.urandom(200_000)), 5)).result()
            commit.stop()
        with Environment(tmp_path, SIZE) as environment, environment.lmdb.begin() as raw:
            view = View(raw, environment.databases, Decryption(environment.keys))
            key, value = read_fragment(view, stored.sequence)
            assert (key.trace_id, key.spans, key.arrived, len(value)) == (TRACE, 1, 5, 200_000 + HEADER.size)
            assert read_counters(raw, environment.databases).open == 1

    def test_an_operation_that_fails_leaves_the_others_alone(self, commit: GroupCommit) -> None:
        def spoil(transaction: Transaction) -> None:
            transaction.append(fragment(b"half done"), 1)
            raise JournalError("on purpose")

        first = commit.submit(lambda transaction: transaction.append(fragment(), 1))
        spoiler = commit.submit(spoil)
        last = commit.submit(lambda transaction: transaction.append(fragment(), 2))
        with pytest.raises(JournalError, match="on purpose"):
            spoiler.result()
        assert [first.result().sequence, last.result().sequence] == [1, 2]
        assert commit.submit(lambda transaction: len(list(transaction.fragments()))).result() == 2
        assert commit.counters.open == 2

    def test_the_index_hears_of_it_only_after_the_commit(self, commit: GroupCommit) -> None:
        heard: list[int] = []
        first = commit.submit(lambda transaction: transaction.append(fragment(), 1).sequence, heard.append)
        assert first.result() == 1
        assert heard == [1]

    def test_a_disk_that_refuses_fails_the_group_and_changes_nothing(self, commit: GroupCommit) -> None:
        def refuse(_: Transaction) -> None:
            raise lmdb.DiskError("mdb_txn_commit: Input/output error")

        heard: list[object] = []
        with pytest.raises(JournalError, match="could not be written"):
            commit.submit(refuse, heard.append).result()
        assert heard == []
        assert commit.submit(lambda transaction: transaction.append(fragment(), 1).sequence).result() == 1

    def test_a_map_that_is_full_is_raised(self, tmp_path: Path) -> None:
        """The limit is ours (`JOURNAL_MAX_BYTES`); LMDB's map must never be what refuses."""
        with Environment(tmp_path, SIZE) as environment:
            before = environment.lmdb.info()["map_size"]
            commit = GroupCommit(environment)
            commit.start()
            for _ in range(20):
                commit.submit(lambda transaction: transaction.append(fragment(bytes(1 << 20)), 1)).result()
            assert environment.lmdb.info()["map_size"] > before
            commit.stop()


@pytest.mark.parametrize("read", [parse_fragment_key, lambda key: list(stored_of([key]))])
@pytest.mark.parametrize("garble", [lambda key: key[:20], lambda key: key[:26] + b"\xff" + key[27:]])
def test_a_garbled_key_is_refused_in_words(read, garble):
    key = fragment_key(FragmentKey(1, 0, bytes(16), FragmentFlag.TASK, 3, 5)) + bytes(NONCE.size)
    assert read(key)
    with pytest.raises(DamagedEntryError, match=r"the key [0-9a-f]+ of a journal entry is damaged"):
        read(garble(key))
