"""Dead letters as a person sees them: what could not be stored and why, and what is to become of it.

The running processor is asked; without one a command takes the journal's lock itself. Spans leave the journal in clear
only towards the process of the command, over the owner's own socket, and are redacted there before they are shown.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import msgspec

from collector_processor.app.commands.access import opened
from collector_processor.app.control import Handler, ask
from collector_processor.app.journalling.front import Front
from collector_processor.app.journalling.sealing import SECOND, Waiting
from collector_processor.app.outage import Outage
from collector_processor.app.policies import state_of
from collector_processor.app.storing.fallback import Fallback
from collector_processor.config import Settings
from collector_processor.errors import ControlError, NotRunningError
from collector_processor.journal import letters
from collector_processor.journal.format import DeadLetter
from collector_processor.journal.kept import task_of
from collector_processor.journal.transaction import Transaction
from collector_processor.model.record import point_id
from collector_processor.model.stages import FragmentFlag, SealedBatch
from collector_processor.store.database import Database
from collector_processor.store.quarantine import write_down
from collector_processor.telemetry import get_logger

log = get_logger(__name__)

AT_ONCE: Final = 20
"""Letters that one commit moves."""
_SECONDS: Final = 600.0
"""How long the running processor may take over all of them."""


class Letter(msgspec.Struct, frozen=True):
    """A dead letter without its spans. `retriable` is false where these were damaged."""

    id: str
    buried_at: str
    kind: str
    trace_id: str
    span_id: str
    spans: int
    bytes: int
    retriable: bool
    error: str


class Opened(msgspec.Struct, frozen=True):
    """A dead letter with its spans as they came, OTLP payloads; or its redacted facts, if it was in the fallback.

    Log records are only counted, in `letter.spans`.
    """

    letter: Letter
    payloads: tuple[bytes, ...]
    facts: Any = None


class DeadLetters:
    """What can be done about the letters of one journal.

    Args:
        front: holds the journal.
        fallback: where letters go back to that came from there.
        announce: told of batches that are sealed anew.
        moved: told when there is room again.
    """

    def __init__(
        self,
        front: Front,
        fallback: Fallback,
        announce: Callable[[Sequence[Waiting]], None],
        moved: Callable[[], None] = lambda: None,
    ) -> None:
        self._front = front
        self._fallback = fallback
        self._announce = announce
        self._moved = moved

    async def listed(self, limit: int) -> list[Letter]:
        """The newest letters. Raises JournalError."""
        found: list[Letter] = await self._front.run(
            lambda transaction: [_letter(id_, letter) for id_, letter in letters.letters(transaction.view)]
        )
        return sorted(found, key=lambda letter: letter.buried_at, reverse=True)[:limit]

    async def opened(self, id_: str) -> Opened:
        """One letter with its spans. Raises ControlError where there is none, JournalError."""
        found = await self._front.run(lambda transaction: dict(letters.letters(transaction.view, [id_])))
        if id_ not in found:
            raise _missing([id_])
        letter = found[id_]
        parts = zip(letter.payloads, letter.headers, strict=True)
        payloads = tuple(payload for (_, payload, _), (flags, _) in parts if not flags & FragmentFlag.LOGS)
        facts = msgspec.json.decode(letter.line)["line"] if letter.line else None
        return Opened(_letter(id_, letter), payloads, facts)

    async def retry(self, ids: Collection[str]) -> int:
        """Seal letters anew, all of them where none is named; returns how many.

        Raises ControlError where one is not there, or can't be retried; JournalError.
        """
        chosen = await self._existing(ids)
        done = 0
        for page in _pages(chosen):
            batches = await self._front.run(partial(self._retry, ids=page))
            self._announce([Waiting(batch.id, batch.sealed_at, len(batch.tasks), batch.spans) for batch in batches])
            self._moved()
            done += len(batches)
        for id_ in chosen if done < len(chosen) else ():
            done += await self._fallback.put_back(id_)
        self._moved()
        if ids and done < len(chosen):
            raise ControlError("spans of a dead letter are damaged: it can't be retried, only discarded")
        return done

    def _retry(self, transaction: Transaction, ids: Collection[str]) -> list[SealedBatch]:
        return letters.retry(transaction, ids, self._front.now, state_of(transaction))

    async def discard(self, ids: Collection[str], *, author: str, reason: str) -> int:
        """Delete letters for good; returns how many. Raises ControlError where one is not there, JournalError."""
        chosen = await self._existing(ids) if ids else []
        done = 0
        for page in _pages(chosen):
            gone = await self._front.run(partial(letters.discard, ids=page))
            self._moved()
            done += len(gone)
            for id_ in gone:
                log.warning("dead letter: discarded", id=id_, author=author, reason=reason)
        await self._front.renew_keys()
        return done

    async def _existing(self, ids: Collection[str]) -> list[str]:
        there = await self._front.run(lambda transaction: letters.letter_ids(transaction.view))
        if missing := sorted(set(ids) - set(there)):
            raise _missing(missing)
        return list(ids) or there

    def commands(self) -> dict[str, Handler]:
        """What the control socket and commands that stand alone offer."""

        async def listed(arguments: Mapping[str, Any]) -> Any:
            return await self.listed(int(arguments.get("limit", 100)))

        async def opened(arguments: Mapping[str, Any]) -> Any:
            return await self.opened(str(arguments["id"]))

        async def retry(arguments: Mapping[str, Any]) -> Any:
            return {"retried": await self.retry(arguments["ids"])}

        async def discard(arguments: Mapping[str, Any]) -> Any:
            who = {"author": str(arguments["author"]), "reason": str(arguments["reason"])}
            return {"discarded": await self.discard(arguments["ids"], **who)}

        return {
            "dead_letters": listed,
            "dead_letter": opened,
            "retry_dead_letters": retry,
            "discard_dead_letters": discard,
        }


def carry_out(settings: Settings, command: str, **arguments: Any) -> Any:
    """Ask the running processor, or do it ourselves where none runs. Raises BenchmarkError."""
    try:
        return ask(settings.data_dir, command, arguments, timeout=_SECONDS)
    except NotRunningError:
        if not (settings.data_dir / "journal" / "data.mdb").exists():
            raise
        return asyncio.run(_alone(settings, command, arguments))


def discard(settings: Settings, ids: Sequence[str], *, author: str, reason: str) -> int:
    """Delete letters for good, each with a row in the audit trail; returns how many. Raises BenchmarkError."""
    with opened(settings) as url:
        return asyncio.run(_discard(settings, url, ids, author=author, reason=reason))


async def _discard(settings: Settings, url: str, ids: Sequence[str], *, author: str, reason: str) -> int:
    def say(command: str, **arguments: Any) -> Any:
        return asyncio.to_thread(carry_out, settings, command, **arguments)

    chosen = [each for each in await say("dead_letters", limit=sys.maxsize) if each["id"] in ids]
    async with Database(url, application_name="otel-benchmark dead-letter") as database, database.writing() as trail:
        for letter in chosen:
            record = point_id(bytes.fromhex(letter["trace_id"]), bytes.fromhex(letter["span_id"]))
            await write_down(trail, record, "discard-letter", author=author, reason=reason)
        # Before the trail is committed: what is refused here has no row there.
        discarded: int = (await say("discard_dead_letters", ids=ids, author=author, reason=reason))["discarded"]
        return discarded


async def _alone(settings: Settings, command: str, arguments: Mapping[str, Any]) -> Any:
    front = Front(settings, lambda _: None)
    await front.recover()
    try:
        fallback = Fallback(settings, front, Outage(settings.store_attempts, settings.store_pause))
        await fallback.start()
        letters_ = DeadLetters(front, fallback, lambda _: None)
        return msgspec.to_builtins(await letters_.commands()[command](arguments))
    finally:
        await front.stop()


def _letter(id_: str, letter: DeadLetter) -> Letter:
    task = task_of(letter)
    return Letter(
        id=id_,
        buried_at=datetime.fromtimestamp(letter.buried_at / SECOND, UTC).isoformat(timespec="seconds"),
        kind=task.kind.value,
        trace_id=task.trace_id.hex(),
        span_id=task.span_id.hex(),
        spans=letter.spans,
        bytes=sum(len(payload) for _, payload, _ in letter.payloads),
        retriable=bool(letter.headers or letter.line),
        error=letter.error,
    )


def _missing(ids: Sequence[str]) -> ControlError:
    return ControlError(f"there is no dead letter {', '.join(ids)}: `otel-benchmark dead-letter list` has them all")


def _pages(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[start : start + AT_ONCE] for start in range(0, len(ids), AT_ONCE)]
