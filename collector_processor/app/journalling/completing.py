"""The end of sealed batches: stored, halved or buried; and of deep analyses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

from collector_processor.app.journalling.running import Run
from collector_processor.app.journalling.sealing import Waiting
from collector_processor.app.policies import Policies, document_of, possible
from collector_processor.assemble import request
from collector_processor.config import Settings
from collector_processor.journal import analyses, seals
from collector_processor.journal.analyses import Analysed, Limits
from collector_processor.journal.completion import complete
from collector_processor.journal.letters import Graveyard
from collector_processor.journal.transaction import Transaction
from collector_processor.model.stages import Applied


class Completing:
    """One per journal.

    Args:
        run: into the commit thread.
        clock: ns since the epoch.
        settings: the policies, and shares of the journal.

    Attributes:
        graveyard: room for dead letters.

    Raises:
        ConfigError: the policies can't be read.
    """

    def __init__(self, run: Run, clock: Callable[[], int], settings: Settings) -> None:
        self._run = run
        self._clock = clock
        self._policies = Policies(possible(document_of(settings).config, judging=settings.judge_url is not None))
        self._room_for_analyses = int(settings.journal_max_bytes * settings.analysis_share)
        self.graveyard = Graveyard(int(settings.journal_max_bytes * settings.dead_letter_share), request.extract)

    async def complete(self, batch_id: UUID, applied: Applied) -> None:
        """The database has the batch: act on its ledger row. Raises DeadLettersFullError, and other JournalErrors."""
        await self._run(lambda transaction: self._complete(transaction, batch_id, applied))

    def _complete(self, transaction: Transaction, batch_id: UUID, applied: Applied) -> None:
        now = self._clock()
        limits = self.limits(transaction, now)
        if complete(transaction, batch_id, applied, self.graveyard, now, limits=limits) is not None:
            self.learn(transaction, applied)

    def limits(self, transaction: Transaction, now: int) -> Limits:
        """What analyses may take of the journal, and of the hour's cap."""
        return Limits(self._room_for_analyses, lambda facet: self._policies.admit(transaction, facet, now))

    def learn(self, transaction: Transaction, applied: Applied) -> None:
        """Tell the policies what of a stored batch was kept."""
        self._policies.learn(transaction, (applied.sampling,), self._clock())

    async def halve(self, batch_id: UUID) -> list[Waiting]:
        """Seal a batch's tasks anew in two halves; none where it has a single one, or is gone. Raises JournalError."""
        halves = await self._run(lambda transaction: seals.halve(transaction, batch_id))
        return [Waiting(half.id, half.sealed_at, len(half.tasks), half.spans) for half in halves]

    async def bury(self, batch_id: UUID, error: str) -> None:
        """Make a batch's tasks dead letters. Raises DeadLettersFullError, and other JournalErrors."""
        await self._run(lambda transaction: seals.bury(transaction, batch_id, error, self.graveyard, self._clock()))

    async def analysed(self, ended: Sequence[Analysed]) -> None:
        """What analyses gave is stored, or their records are gone. Raises JournalError."""

        def end(transaction: Transaction) -> None:
            spent = [each.spent for each in ended if analyses.done(transaction, each)]
            self._policies.learn(transaction, spent, self._clock())

        await self._run(end)
