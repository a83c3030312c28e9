"""What a person decides about records, with the words of the decision redacted as the record's own texts are."""

from __future__ import annotations

import time
from functools import cached_property
from uuid import UUID

from collector_processor.app.privacy import privacy_keys, protector_of
from collector_processor.config import Settings
from collector_processor.convert import correct as corrections
from collector_processor.guard import Protector
from collector_processor.model.record import BenchmarkDataPoint
from collector_processor.model.times import to_text
from collector_processor.store.quarantine import JsonPatch, Quarantine


class Decisions:
    """Decisions about any number of records; a reason may be empty.

    All raise StoreError as `Quarantine` does, and ConfigError where the keys of pseudonyms can't be had.
    """

    def __init__(self, quarantine: Quarantine, settings: Settings) -> None:
        self._quarantine = quarantine
        self._settings = settings

    async def correct(self, id_: UUID, patch: JsonPatch, *, author: str, reason: str) -> BenchmarkDataPoint:
        """Correct a record now. Raises CorrectionError where the patch doesn't fit it or can't be searched."""
        record = await self._quarantine.show(id_)
        patch, reason = self._protector.correction(patch, reason, record.tenant_id)
        corrections.correct(record, patch)
        return await self._quarantine.correct(id_, patch, author=author, reason=reason, time=to_text(time.time_ns()))

    async def revalidate(self, id_: UUID, *, author: str, reason: str) -> BenchmarkDataPoint:
        """Have a record judged by today's settings."""
        return await self._quarantine.revalidate(id_, author=author, reason=await self._redacted(id_, reason))

    async def release(self, id_: UUID, *, author: str, reason: str) -> BenchmarkDataPoint:
        """Let a quarantined record count as it is."""
        return await self._quarantine.release(id_, author=author, reason=await self._redacted(id_, reason))

    async def discard(self, id_: UUID, *, author: str, reason: str) -> BenchmarkDataPoint:
        """Take a record out of every view for good."""
        return await self._quarantine.discard(id_, author=author, reason=await self._redacted(id_, reason))

    async def _redacted(self, id_: UUID, reason: str) -> str:
        if not reason:
            return reason
        record = await self._quarantine.show(id_)
        return self._protector.reason(reason, record.tenant_id)

    @cached_property
    def _protector(self) -> Protector:
        """Made when it is first needed, once for all records: its patterns take half a second to compile."""
        return protector_of(self._settings.tenant_key, privacy_keys(self._settings))
