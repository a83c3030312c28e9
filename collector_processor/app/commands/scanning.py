"""`privacy scan`, `status` and `resume`: what is stored, searched by the rules of today, and which sources wait."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime

import msgspec

from collector_processor.app.commands.access import opened
from collector_processor.app.control import ask
from collector_processor.app.journalling.halts import remember
from collector_processor.app.privacy import privacy_keys, protector_of, written_reason
from collector_processor.app.reporting.status import Halted
from collector_processor.app.storing.pipeline import Pipeline, fold_settings, gate_settings
from collector_processor.config import PREFIX, Settings
from collector_processor.errors import ConfigError, ControlError, NotRunningError
from collector_processor.guard.rescan import Rescan
from collector_processor.store import halts as store_halts
from collector_processor.store.database import Database
from collector_processor.store.halts import Halt, halted
from collector_processor.store.rescan import BEGINNING, Scan, Scanned, by_type
from collector_processor.telemetry import get_logger

__all__ = ["Halt", "Scanned", "by_type", "halts", "held", "resume", "scan"]

log = get_logger(__name__)


def scan(settings: Settings, *, since: datetime | None, limit: int | None) -> Scanned:
    """Scan what is stored from `since` on (None: all of it), at most `limit` records. Raises BenchmarkError."""
    keys = privacy_keys(settings)
    if keys is None:
        raise ConfigError(f"{PREFIX}PRIVACY is off: what is found could not be redacted; set it to on")
    protector = protector_of(settings.tenant_key, keys)
    pipeline = Pipeline(protector, fold_settings(settings), gate_settings(settings))

    async def work(url: str) -> Scanned:
        async with Database(url, application_name="otel-benchmark privacy scan") as database:
            halting = settings.privacy_violation == "halt"
            scanned = await Scan(database, Rescan(protector), pipeline.revise, halting=halting).run(
                since or BEGINNING, limit
            )
            await _tell(settings, database)
            return scanned

    with opened(settings) as url:
        return asyncio.run(work(url))


def halts(settings: Settings) -> list[Halt]:
    """Sources that are halted. Raises BenchmarkError."""

    async def work(url: str) -> list[Halt]:
        async with Database(url, application_name="otel-benchmark privacy") as database:
            return await halted(database)

    with opened(settings) as url:
        return asyncio.run(work(url))


def resume(settings: Settings, source: str, *, author: str, reason: str) -> None:
    """Let a source's tasks be stored again; the reason is redacted as records are. Raises BenchmarkError."""
    reason = written_reason(settings, reason)

    async def work(url: str) -> None:
        async with Database(url, application_name="otel-benchmark privacy") as database:
            await store_halts.resume(database, source, author=author, reason=reason)
            await _tell(settings, database)

    with opened(settings) as url:
        asyncio.run(work(url))


def held(settings: Settings) -> Mapping[str, Halted]:
    """What the running processor holds of halted sources; nothing where none runs. Raises BenchmarkError."""
    try:
        answer = ask(settings.data_dir, "status")
    except NotRunningError:
        return {}
    return {each.source: each for each in msgspec.convert(answer["halted"], tuple[Halted, ...])}


async def _tell(settings: Settings, database: Database) -> None:
    """Tell the processor of this data directory, now or when it starts; others on the database ask every minute."""
    try:
        await asyncio.to_thread(ask, settings.data_dir, "halts")
    except NotRunningError:
        if settings.data_dir.exists():
            remember(settings.data_dir, await halted(database))
    except ControlError as error:
        log.warning("privacy: the processor was not told, it asks within a minute", problem=str(error))
