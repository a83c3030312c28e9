"""Values are encrypted with the key of their epoch: AES-256-GCM, which also tells damage from content.

An epoch belongs to one process, which counts its nonces in memory: neither an aborted transaction nor a crash can make
one come twice, and nothing about them has to be stored before it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from collector_processor.errors import DamagedEntryError, LostKeyError
from collector_processor.journal.format import NONCE, Epoch, epoch_of
from collector_processor.journal.keys import KeyFolder

EPOCH_NS: Final = 15 * 60 * 10**9
"""How long values are encrypted under one key."""
_SECOND: Final = 10**9


class Decryption:
    """Reads encrypted rows. A key is read from its file at first need, and held for as long as this lives."""

    def __init__(self, keys: KeyFolder) -> None:
        self._keys = keys
        self._ciphers: dict[int, AESGCM] = {}

    def decrypt(self, key: bytes, value: bytes, entry: object) -> bytes:
        """The content of a row; `entry` names it in an error.

        Raises:
            LostKeyError: the key of its epoch has been destroyed, or is lost.
            DamagedEntryError: value or key are not what was written.
        """
        epoch = epoch_of(key)
        cipher = self._ciphers.get(epoch)
        try:
            if cipher is None:
                cipher = self._ciphers[epoch] = AESGCM(self._keys.read(epoch))
            return cipher.decrypt(key[-NONCE.size :], value, key)
        except LostKeyError as error:
            raise LostKeyError(f"journal entry {entry} can't be read: {error}") from error
        except InvalidTag:
            raise DamagedEntryError(f"journal entry {entry} is damaged: its authentication tag doesn't match") from None


class _Current:
    """The epoch that values are encrypted under now."""

    __slots__ = ("began", "cipher", "counter", "number")

    def __init__(self, number: int, cipher: AESGCM, began: int) -> None:
        self.number = number
        self.cipher = cipher
        self.began = began
        self.counter = 0


class Encryption(Decryption):
    """Writes encrypted rows too, makes epochs and destroys their keys: for the journal's one owner.

    Two epochs are current at a time, each made when it is first needed: one for spans, which ends by time, and one for
    what is kept, which ends when something of it has gone.

    Args:
        keys: prepared.
        epochs: the journal's tally.

    Attributes:
        lost: epochs with values whose key can't be read, and why.
    """

    def __init__(self, keys: KeyFolder, epochs: Mapping[int, Epoch]) -> None:
        super().__init__(keys)
        self._current: dict[bool, _Current] = {}
        self._files = keys.epochs()
        self._last = max(self._files | epochs.keys(), default=0)
        self.lost: dict[int, str] = {}
        for number in epochs:
            try:
                keys.read(number)
            except LostKeyError as error:
                self.lost[number] = str(error)

    @property
    def current(self) -> set[int]:
        """Epochs that may still get values."""
        return {each.number for each in self._current.values()}

    def encrypt(self, prefix: bytes, value: bytes, now: int, *, kept: bool) -> tuple[bytes, bytes]:
        """Key and value of a new row whose key begins with `prefix`; `now` in ns.

        Raises:
            KeyWriteError: a new epoch's key can't be written.
        """
        current = self._current.get(kept) or self._begin(now, kept=kept)
        current.counter += 1
        key = prefix + NONCE.pack(current.number, current.counter)
        return key, current.cipher.encrypt(key[-NONCE.size :], value, key)

    def _begin(self, now: int, *, kept: bool) -> _Current:
        """An epoch's number is the second in which it begins, or the next one that none has had."""
        number = self._last = max(now // _SECOND, self._last + 1)
        cipher = self._ciphers[number] = AESGCM(self._keys.make(number))
        self._files.add(number)
        current = self._current[kept] = _Current(number, cipher, now)
        return current

    def end_epochs(self, now: int, epochs: Mapping[int, Epoch]) -> None:
        """Let no more values into epochs whose time is over; a clock that jumped back ends one as well."""
        for kept, current in list(self._current.items()):
            tally = epochs.get(current.number)
            if tally is not None and tally.gone if kept else abs(now - current.began) >= EPOCH_NS:
                del self._current[kept]

    def end(self) -> None:
        """Let no more values into any epoch: the journal is about to be closed."""
        self._current.clear()

    def destroy_unused(self, epochs: Mapping[int, Epoch]) -> None:
        """Destroy every key that no value needs, as the journal's committed tally says.

        Raises:
            OSError: the disk refused; the key is destroyed at the next call, or at the next start.
        """
        needed = self.current | {number for number, epoch in epochs.items() if epoch.live}
        for number in self._files - needed:
            self._keys.destroy(number)
            self._files.discard(number)
            self._ciphers.pop(number, None)
