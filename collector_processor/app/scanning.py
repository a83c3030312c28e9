"""`privacy scan`: what is stored, searched again by the rules of today."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime
from functools import partial

from collector_processor.app.access import opened
from collector_processor.app.pipeline import Pipeline
from collector_processor.app.privacy import privacy_keys, protector_of
from collector_processor.config import PREFIX, Settings
from collector_processor.convert import FoldSettings
from collector_processor.errors import ConfigError
from collector_processor.guard import GateSettings
from collector_processor.guard.rescan import Rescan, condemn
from collector_processor.model.facts import Facts
from collector_processor.store.database import Database
from collector_processor.store.rescan import BEGINNING, Mended, Scanned, by_type, rescan

__all__ = ["Scanned", "by_type", "scan"]


def scan(settings: Settings, *, since: datetime | None, limit: int | None) -> Scanned:
    """Scan what is stored from `since` on (None: all of it), at most `limit` records. Raises BenchmarkError."""
    keys = privacy_keys(settings)
    if keys is None:
        raise ConfigError(f"{PREFIX}PRIVACY is off: what is found could not be redacted; set it to on")
    protector = protector_of(settings.tenant_key, keys)
    again = Rescan(protector)
    pipeline = Pipeline(
        protector,
        FoldSettings(settings.evaluator),
        GateSettings(frozenset(settings.task_types), frozenset(settings.agents), settings.clock_skew * 1000),
    )

    def look(facts: Facts, tenant: str | None) -> Mended | None:
        violation = again.look(facts, tenant)
        if violation is None:
            return None
        found: Counter[str] = Counter()
        for each in violation.disclosures:
            found[each.type] += each.times
        return Mended(violation.facts, dict(found), partial(condemn, disclosures=violation.disclosures))

    async def work(url: str) -> Scanned:
        async with Database(url, application_name="otel-benchmark privacy scan") as database:
            return await rescan(database, look, pipeline.revise, since=since or BEGINNING, limit=limit)

    with opened(settings) as url:
        return asyncio.run(work(url))
