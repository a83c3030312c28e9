"""Encrypted rows in one write transaction, and the tally of which epoch's key is still needed by how many of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from collector_processor.errors import DamagedEntryError
from collector_processor.journal.cipher import Encryption
from collector_processor.journal.format import KEPT, NONCE, SEQUENCE, Epoch, epoch_of
from collector_processor.journal.reader import View
from collector_processor.telemetry import get_logger

if TYPE_CHECKING:
    from collector_processor.journal.format import Databases, LmdbTransaction

MOVED_SHARE: Final = 4
"""What is left of an epoch is moved to the current one when this part of its values is left: moving costs a third
more writing at most, whatever the tasks."""
MOVED_BYTES: Final = 4 << 20
MOVED_ROWS: Final = 1000
LOOKED_AT: Final = 20_000
"""What one transaction moves, and how many keys it looks at for that: requests wait meanwhile, some 50 ms."""

log = get_logger(__name__)


class _Found(NamedTuple):
    """Rows of an epoch; `more` is the place to go on from, None where all rows have been looked at."""

    rows: list[tuple[str, bytes]]
    more: int | None


class EncryptedRows:
    """Puts, deletes and moves rows of `spans`, `dead` and `undecodable`.

    Args:
        transaction: the open write transaction.
        databases: of the environment.
        encryption: of the journal's owner.
        epochs: a private copy of the tally, changed here and saved with the transaction.

    Attributes:
        view: for reading what the transaction sees.
    """

    def __init__(
        self, transaction: LmdbTransaction, databases: Databases, encryption: Encryption, epochs: dict[int, Epoch]
    ) -> None:
        self._txn = transaction
        self._dbs = databases
        self._encryption = encryption
        self.view = View(transaction, databases, encryption)
        self.epochs = epochs

    def put(self, database: str, prefix: bytes, value: bytes, now: int, *, append: bool = False) -> None:
        """Encrypt a value under the current epoch; its nonce completes the key.

        Args:
            database: one with encrypted values.
            prefix: of the key, eight bytes or more.
            value: in clear.
            now: ns.
            append: no row of the database has a higher key.
        """
        kept = database in KEPT
        key, encrypted = self._encryption.encrypt(prefix, value, now, kept=kept)
        self._txn.put(key, encrypted, append=append, db=self._dbs[database])
        number, first = epoch_of(key), 0 if kept else SEQUENCE.unpack_from(prefix)[0]
        epoch = self.epochs.get(number) or Epoch(kept, first)
        self.epochs[number] = Epoch(kept, min(epoch.first, first), epoch.live + 1, epoch.gone)

    def deleted(self, key: bytes) -> None:
        """Count a row that the caller has deleted."""
        epoch = self.epochs.get(number := epoch_of(key))
        if epoch is not None:  # else the row was damaged, and given up when the others were moved
            self.epochs[number] = Epoch(epoch.kept, epoch.first, epoch.live - 1, epoch.gone + 1)

    # -- Moving ----------------------------------------------------------------------------------------------

    def end_epochs(self) -> None:
        """Let no more values into any epoch there is."""
        self._encryption.end()

    def rotate(self, now: int, *, thoroughly: bool = False) -> bool:
        """End epochs whose time is over; encrypt anew what is left of those that have mostly gone.

        So a long task keeps no old key alive. Of what is kept for a person nothing goes but by a wish: there the
        first that has gone is reason enough, as it is everywhere with `thoroughly`. Returns whether all was moved that
        one transaction may move.
        """
        self._encryption.end_epochs(now, self.epochs)
        stays = self._encryption.current | self._encryption.lost.keys()
        done = True
        for number, epoch in list(self.epochs.items()):
            enough = epoch.gone if epoch.kept or thoroughly else epoch.live * (MOVED_SHARE - 1) <= epoch.gone
            if epoch.live and enough and number not in stays:
                done = self._move(number, epoch, now) and done
        return done

    def _move(self, number: int, epoch: Epoch, now: int) -> bool:
        rows, more = self._find(number, epoch)
        size = 0
        for database, key in rows:
            if size > MOVED_BYTES:
                more = _place(epoch, key)
                break
            value = self._txn.get(key, db=self._dbs[database])
            assert value is not None
            try:
                content = self._encryption.decrypt(key, value, key.hex())
            except DamagedEntryError as error:
                log.critical("journal: an entry is damaged and keeps its place", problem=str(error))
                continue
            self._txn.delete(key, db=self._dbs[database])
            self.deleted(key)
            self.put(database, key[: -NONCE.size], content, now)
            size += len(value)
        left = self.epochs[number]
        if more is not None:
            self.epochs[number] = Epoch(left.kept, more, left.live, left.gone)
        elif left.live:
            del self.epochs[number]  # nobody can read what is left: it is no reason to keep a key
        return more is None

    def _find(self, number: int, epoch: Epoch) -> _Found:
        found: list[tuple[str, bytes]] = []
        looked = 0
        for database in KEPT if epoch.kept else ("spans",):
            with self._txn.cursor(db=self._dbs[database]) as cursor:
                more = cursor.set_range(SEQUENCE.pack(epoch.first))
                while more and len(found) < epoch.live:
                    key = cursor.key()
                    looked += 1
                    if not epoch.kept and (looked > LOOKED_AT or len(found) == MOVED_ROWS):
                        return _Found(found, _place(epoch, key))
                    if epoch_of(key) == number:
                        found.append((database, key))
                    more = cursor.next()
        return _Found(found, None)


def _place(epoch: Epoch, key: bytes) -> int:
    """Where to go on looking from a row: what is kept is little, and looked at from its beginning each time."""
    return 0 if epoch.kept else SEQUENCE.unpack_from(key)[0]
