"""Keys and what they encrypt: durable before use, bound to their row, noise when they are destroyed."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from collector_processor.errors import DamagedEntryError, KeyWriteError, LostKeyError
from collector_processor.journal.cipher import EPOCH_NS, Decryption, Encryption
from collector_processor.journal.format import NONCE, Epoch, epoch_of
from collector_processor.journal.keys import KEY_BYTES, KeyFolder

SECOND = 10**9
NOW = 1_760_000_000 * SECOND
ROW = bytes(range(16))


@pytest.fixture
def keys(tmp_path: Path) -> KeyFolder:
    folder = KeyFolder(tmp_path)
    folder.prepare()
    return folder


@pytest.fixture
def encryption(keys: KeyFolder) -> Encryption:
    return Encryption(keys, {})


# -- Key files -------------------------------------------------------------------------------------


def test_a_key_is_its_owners_alone_and_synced_with_its_folder(keys: KeyFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    sync = os.fsync

    def noting(descriptor: int) -> None:
        sync(descriptor)
        synced.append(Path(f"/dev/fd/{descriptor}").resolve())

    monkeypatch.setattr(os, "fsync", noting)
    key = keys.make(7)
    assert (len(key), keys.read(7), keys.epochs()) == (KEY_BYTES, key, {7})
    assert stat.S_IMODE(keys.path(7).stat().st_mode) == 0o600
    assert synced == [keys.path(7), keys.folder]


def test_a_key_is_overwritten_before_its_file_goes(keys: KeyFolder) -> None:
    key = keys.make(7)
    with keys.path(7).open("rb") as still_open:
        keys.destroy(7)
        assert keys.epochs() == set()
        content = still_open.read()
    assert len(content) == KEY_BYTES
    assert content != key
    keys.destroy(7)  # after a crash it is tried again


def test_a_key_that_exists_is_never_made_anew(keys: KeyFolder) -> None:
    key = keys.make(7)
    with pytest.raises(KeyWriteError, match="File exists"):
        keys.make(7)
    assert keys.read(7) == key


@pytest.mark.parametrize("failing", ["fsync", "write"])
def test_a_key_that_is_not_durable_is_not_left_behind(
    keys: KeyFolder, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, failing, full)
    with pytest.raises(KeyWriteError, match=r"keys/7 can't be written: No space left on device"):
        keys.make(7)
    assert keys.epochs() == set()


def test_other_files_are_left_alone(keys: KeyFolder) -> None:
    (keys.folder / "README").touch()
    assert keys.epochs() == set()


# -- Values ----------------------------------------------------------------------------------------


@given(value=st.binary(max_size=200), prefix=st.binary(min_size=8, max_size=64))
def test_what_is_encrypted_is_read_by_the_owner_and_by_whoever_has_the_files(
    tmp_path_factory: pytest.TempPathFactory, value: bytes, prefix: bytes
) -> None:
    keys = KeyFolder(tmp_path_factory.mktemp("journal"))
    keys.prepare()
    encryption = Encryption(keys, {})
    key, encrypted = encryption.encrypt(prefix, value, NOW, kept=False)
    assert (key[: -NONCE.size], len(encrypted)) == (prefix, len(value) + 16)
    assert encryption.decrypt(key, encrypted, 1) == Decryption(keys).decrypt(key, encrypted, 1) == value


def flip(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@pytest.mark.parametrize("place", range(len(ROW) + NONCE.size))
def test_a_key_that_is_not_the_one_it_was_written_under_is_found(encryption: Encryption, place: int) -> None:
    key, value = encryption.encrypt(ROW, b"spans of somebody", NOW, kept=False)
    with pytest.raises(DamagedEntryError, match="entry 7"):
        encryption.decrypt(flip(key, place), value, 7)


@pytest.mark.parametrize(
    "spoil",
    [lambda value: flip(value, 0), lambda value: flip(value, -1 % len(value)), lambda value: value[:-1], lambda _: b""],
    ids=["content", "tag", "shorter", "empty"],
)
def test_a_damaged_value_is_found(encryption: Encryption, spoil: Callable[[bytes], bytes]) -> None:
    key, value = encryption.encrypt(ROW, b"spans of somebody", NOW, kept=False)
    with pytest.raises(DamagedEntryError, match="entry 7 is damaged: its authentication tag"):
        encryption.decrypt(key, spoil(value), 7)


def test_values_cannot_change_places(encryption: Encryption) -> None:
    first, other = (encryption.encrypt(ROW, value, NOW, kept=False) for value in (b"first", b"other"))
    with pytest.raises(DamagedEntryError):
        encryption.decrypt(first[0], other[1], 7)


def test_no_nonce_comes_twice_under_a_key(keys: KeyFolder) -> None:
    """Neither after an end nor in the same second, nor with a clock that jumps back."""
    nonces = []
    for start in range(3):
        encryption = Encryption(keys, {})
        for now in (NOW, NOW, NOW - 3600 * SECOND, NOW + EPOCH_NS * start):
            for kept in (False, True):
                key, _ = encryption.encrypt(ROW, b"", now, kept=kept)
                nonces.append(key[-NONCE.size :])
            encryption.end_epochs(now, {})
    assert len(set(nonces)) == len(nonces) == 24
    assert len(keys.epochs()) >= 6


# -- Epochs ----------------------------------------------------------------------------------------


def test_an_epoch_ends_by_time_and_one_of_what_is_kept_when_something_has_gone(encryption: Encryption) -> None:
    def number(now: int, *, kept: bool) -> int:
        return epoch_of(encryption.encrypt(ROW, b"", now, kept=kept)[0])

    spans, kept = number(NOW, kept=False), number(NOW, kept=True)
    tally = {spans: Epoch(False, 1, live=1, gone=9), kept: Epoch(True, 0, live=1)}
    encryption.end_epochs(NOW + EPOCH_NS - 1, tally)
    assert (number(NOW, kept=False), number(NOW, kept=True)) == (spans, kept)
    encryption.end_epochs(NOW + EPOCH_NS, tally)
    assert number(NOW + EPOCH_NS, kept=False) > spans
    assert number(NOW + EPOCH_NS, kept=True) == kept
    encryption.end_epochs(NOW + EPOCH_NS, {kept: Epoch(True, 0, live=1, gone=1)})
    assert number(NOW + EPOCH_NS, kept=True) > kept
    spans = number(NOW, kept=False)
    encryption.end_epochs(NOW - EPOCH_NS, tally)  # a clock that jumped back must not make it last for longer
    assert number(NOW - EPOCH_NS, kept=False) > spans


def test_only_keys_that_nobody_needs_are_destroyed(keys: KeyFolder, encryption: Encryption) -> None:
    old = epoch_of(encryption.encrypt(ROW, b"", NOW, kept=False)[0])
    encryption.end_epochs(NOW + EPOCH_NS, {})
    current = epoch_of(encryption.encrypt(ROW, b"", NOW + EPOCH_NS, kept=False)[0])
    encryption.destroy_unused({old: Epoch(False, 1, live=1)})
    assert keys.epochs() == {old, current}
    encryption.destroy_unused({old: Epoch(False, 1, live=0, gone=1)})
    assert keys.epochs() == {current}
    encryption.end()
    encryption.destroy_unused({})
    assert keys.epochs() == set()


def test_a_destroyed_key_is_forgotten_by_its_owner_too(encryption: Encryption) -> None:
    key, value = encryption.encrypt(ROW, b"spans of somebody", NOW, kept=False)
    encryption.end()
    assert encryption.decrypt(key, value, 7) == b"spans of somebody"
    encryption.destroy_unused({})
    with pytest.raises(LostKeyError, match=r"entry 7 can't be read: the key .*/keys/1760000000 can't be read: No such"):
        encryption.decrypt(key, value, 7)


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: os.truncate(path, 31)], ids=["missing", "cut short"])
def test_a_lost_key_is_known_from_the_start(keys: KeyFolder, spoil: Callable[[Path], None]) -> None:
    keys.make(5)
    keys.make(6)
    spoil(keys.path(5))
    encryption = Encryption(keys, {5: Epoch(False, 1, live=3), 6: Epoch(False, 4, live=1)})
    assert list(encryption.lost) == [5]
    assert str(keys.path(5)) in encryption.lost[5]
    assert epoch_of(encryption.encrypt(ROW, b"", 0, kept=False)[0]) == 7
