"""Run the processor in the foreground: receive first, bring up the database meanwhile, leave nothing behind.

Order of the end: stop accepting, let sealed batches be written within `DRAIN_TIMEOUT`, end workers, close the
journal, leave the embedded database. Open tasks stay in the journal and go on after the next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import uvloop

from collector_processor.app.analysing.analysis import Analysing
from collector_processor.app.commands.dead_letters import DeadLetters
from collector_processor.app.commands.erasing import Kind, subject_of
from collector_processor.app.commands.erasing import withdraw as withdraw_all
from collector_processor.app.control import ControlServer
from collector_processor.app.database import DatabaseKeeper
from collector_processor.app.forwarding.process import Forwarding, protocol_of
from collector_processor.app.journalling.front import Front
from collector_processor.app.journalling.halts import Halts
from collector_processor.app.journalling.sealing import Waiting
from collector_processor.app.listeners import Listeners, raise_file_limit
from collector_processor.app.memory import be_sparing
from collector_processor.app.outage import Outage
from collector_processor.app.privacy import privacy_keys
from collector_processor.app.protocol import BeginForwarding
from collector_processor.app.reporting.monitor import Monitor
from collector_processor.app.storing.begin import beginner
from collector_processor.app.storing.desk import BatchDesk
from collector_processor.app.storing.fallback import Fallback
from collector_processor.app.storing.pool import WorkerPool
from collector_processor.app.upkeep import Upkeep
from collector_processor.config import EMBEDDED, PREFIX, Settings
from collector_processor.errors import ConfigError, ControlError, MigrationError
from collector_processor.model.stages import Keep
from collector_processor.telemetry import configure, get_logger
from collector_processor.telemetry.snapshot import register_snapshot

log = get_logger(__name__)

EMBEDDED_PATIENCE: Final = 15.0
OTHER_PATIENCE: Final = 2.0
"""How long the ready line waits for the database, so that it can name it. Requests are taken before."""
FLUSH_PATIENCE: Final = 20.0
"""How long who asks for a flush waits for workers. With `DRAIN_TIMEOUT` at 0 a stop waits for nobody; a person does."""


class Processor:
    """All parts of one processor, wired. Starts in `start`, ends in `stop`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.stopping = False
        self.fault: str | None = None
        self.privacy_keys = privacy_keys(settings)
        self.outage = Outage(settings.store_attempts, settings.store_pause)
        self.database = DatabaseKeeper(settings, self.outage)
        self.forwarding = Forwarding(self._begin_forwarding) if settings.forward_endpoint else None
        departed = self.forwarding.departed if self.forwarding else None
        self.front = Front(settings, self._sealed, on_departed=departed)
        self.fallback = Fallback(settings, self.front, self.outage)
        desk = BatchDesk(self.front, self.database, self.forwarding)
        begin = beginner(settings, self.privacy_keys, self.front, self.database)
        self.pool = WorkerPool(begin, desk, self.fallback, self.outage)
        self.analysing = Analysing(settings, self.database, self.front, self.privacy_keys)
        self.halts = Halts(settings, self.database, self.front)
        self.dead_letters = DeadLetters(self.front, self.fallback, self.pool.queue.add, self.pool.hurry)
        self.upkeep = Upkeep(settings, self.database)
        self.monitor = Monitor(self)
        self.listeners = Listeners(settings, self.front, self.monitor.health)
        self._control = ControlServer(settings.data_dir, self._commands())
        self._bringing_up: asyncio.Task[None] | None = None
        self._forget_metrics = register_snapshot(self.monitor.metrics)

    # -- Life ------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Receive and journal; the database follows in the background."""
        await self.front.recover()
        await self.halts.start()
        self.front.start()
        await self.fallback.start()
        if self.forwarding is not None:
            self.forwarding.start()
        self.pool.start(self.settings.workers)
        self._bringing_up = asyncio.create_task(self._bring_up(), name="database")
        await self.listeners.start()
        await self._control.start()
        self.monitor.start()
        self.upkeep.start()
        self.analysing.start()

    async def _bring_up(self) -> None:
        try:
            await self.database.bring_up()
        except MigrationError as error:
            self.fault = str(error)
            log.critical("database: it can't be used by this program", problem=str(error))
            return
        except Exception as error:
            self.fault = f"the database could not be brought up: {error!r}"
            log.exception("database: it could not be brought up, start the processor again")
            return
        if self.forwarding is not None:
            await self.forwarding.wait_for_start()
        self.pool.queue.open()

    async def wait_for_database(self, seconds: float) -> None:
        """Come back when the database is ready, hopeless, or after that time."""
        assert self._bringing_up is not None
        await asyncio.wait({self._bringing_up}, timeout=seconds)

    def ready_line(self) -> bytes:
        """The one line on standard output: what listens where, and the database (null until it is reached)."""
        ready = {
            "event": "ready",
            **{name: self.listeners.addresses.get(name) for name in ("otlp_grpc", "otlp_http", "admin")},
            "database": self.database.shown_url,
            "tier": self.database.tier,
        }
        return msgspec.json.encode(ready) + b"\n"

    async def stop(self) -> None:
        """End in order; nothing that was acknowledged is lost, whatever doesn't get done in time.

        A step that fails keeps none of those after it from being taken; its error is raised at the end.
        """
        self.stopping = True
        failed: Exception | None = None
        for step in (
            self.listeners.close_receivers,
            self._drain,
            self._give_up_bringing_up,
            self.pool.stop,
            self.analysing.stop,
            self._stop_forwarding,
            self.upkeep.stop,
            self.halts.stop,
            self.monitor.stop,
            self._control.close,
            self.listeners.close_admin,
            self.front.stop,
            self.database.close,
        ):
            try:
                await step()
            except Exception as error:
                log.exception("stopping: a step failed, the others are taken")
                failed = failed or error
        self._forget_metrics()
        if failed is not None:
            raise failed

    async def _drain(self) -> None:
        if self.database.ready.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.pool.queue.drained(), self.settings.drain_timeout)

    async def _give_up_bringing_up(self) -> None:
        if self._bringing_up is not None:
            self._bringing_up.cancel()
            await asyncio.gather(self._bringing_up, return_exceptions=True)

    async def _stop_forwarding(self) -> None:
        if self.forwarding is not None:
            await self.forwarding.stop()

    # -- Wiring ----------------------------------------------------------------------------------------------

    def _sealed(self, batches: Sequence[Waiting]) -> None:
        self.pool.queue.add(batches)

    async def _begin_forwarding(self) -> BeginForwarding:
        settings = self.settings
        await self.database.ready.wait()
        assert self.database.url is not None
        assert settings.forward_endpoint is not None
        return BeginForwarding(
            name=f"otel-benchmark {self.front.identity} forwarder",
            journal=str(self.front.folder),
            database_url=self.database.url,
            tenant_key=settings.tenant_key,
            privacy_keys=self.privacy_keys,
            endpoint=settings.forward_endpoint,
            protocol=protocol_of(settings),
            headers=dict(settings.forward_headers or ()),
            ca_file=_text(settings.forward_ca_file),
            cert_file=_text(settings.forward_cert_file),
            key_file=_text(settings.forward_key_file),
            ratio=settings.forward_ratio,
            keep=settings.forward_keep or Keep(),
            queue_bytes=settings.forward_queue_bytes,
            log_level=settings.log_level,
            log_format=settings.log_format,
        )

    def _commands(self) -> dict[str, Any]:
        async def status(_: Mapping[str, Any]) -> Any:
            return await self.monitor.status()

        async def flush(_: Mapping[str, Any]) -> Any:
            sealed = await self.front.flush()
            patience = self.settings.drain_timeout or FLUSH_PATIENCE
            try:
                await asyncio.wait_for(self.pool.queue.drained(), patience)
            except TimeoutError:
                why = "; ".join(self.monitor.health().reasons) or "the workers are still at it"
                waiting = sum(batch.tasks for batch in self.pool.queue.backlog)
                raise ControlError(
                    f"{waiting} closed tasks are safe in the journal, but not stored within {patience:g} s: {why}"
                ) from None
            return {"sealed": sealed}

        async def undecodable(arguments: Mapping[str, Any]) -> Any:
            kept = await self.front.undecodable(int(arguments.get("limit", 100)))
            return [
                {"trace_id": span.trace_id.hex(), "span_id": span.span_id.hex(), "reason": span.reason, "raw": span.raw}
                for span in kept
            ]

        async def withdraw(arguments: Mapping[str, Any]) -> Any:
            # What finds a person in texts takes half a second to make.
            asked = Kind(arguments["kind"]), str(arguments["value"])
            subject = await asyncio.to_thread(subject_of, self.settings, *asked)
            dry = bool(arguments["dry"])
            withdrawn = await withdraw_all(self.settings, self.front, self.fallback, subject, dry=dry)
            await self.analysing.let_go(withdrawn.analyses)
            if arguments["dry"] or not withdrawn.removed.get("sealed_spans"):
                return withdrawn
            try:
                await asyncio.wait_for(self.pool.queue.drained(), self.settings.drain_timeout or FLUSH_PATIENCE)
            except TimeoutError:
                return withdrawn
            await self.front.renew_keys()
            removed = {place: count for place, count in withdrawn.removed.items() if place != "sealed_spans"}
            return withdrawn._replace(removed=removed, waiting=0)

        async def fallback(_: Mapping[str, Any]) -> Any:
            return self.fallback.figures()._asdict()

        async def outage(_: Mapping[str, Any]) -> Any:
            return self.outage.problem

        async def import_fallback(_: Mapping[str, Any]) -> Any:
            self.outage.ended()
            self.pool.hurry()
            return self.fallback.figures()._asdict()

        async def halts(_: Mapping[str, Any]) -> Any:
            if self.database.ready.is_set():
                await self.halts.refresh()
            return sorted(each.source for each in self.halts.current)

        return {
            "status": status,
            "flush": flush,
            "undecodable": undecodable,
            "withdraw": withdraw,
            "halts": halts,
            "fallback": fallback,
            "import_fallback": import_fallback,
            "outage": outage,
            **self.dead_letters.commands(),
        }


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def run(settings: Settings) -> int:
    """`otel-benchmark serve`: until SIGTERM or SIGINT. Returns the exit code.

    Raises:
        ConfigError, JournalError: it could not start; the message names the setting or the folder.
    """
    configure(settings)
    try:
        # The account that stands in for root under PostgreSQL must pass through; what is inside is closed to it.
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o711 if os.geteuid() == 0 else 0o700)
    except OSError as error:
        raise ConfigError(f"{PREFIX}DATA_DIR: {settings.data_dir} can't be created: {error.strerror}") from error
    be_sparing()
    raise_file_limit(settings)
    return uvloop.run(_run(settings))


async def _run(settings: Settings) -> int:
    processor = Processor(settings)
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    try:
        await processor.start()
        waiting = asyncio.create_task(asked.wait())
        patience = EMBEDDED_PATIENCE if settings.database_url == EMBEDDED else OTHER_PATIENCE
        arriving = asyncio.create_task(processor.wait_for_database(patience))
        await asyncio.wait({waiting, arriving}, return_when=asyncio.FIRST_COMPLETED)
        arriving.cancel()
        if not asked.is_set():
            os.write(sys.stdout.fileno(), processor.ready_line())
            log.info("ready", started=datetime.now(UTC).isoformat(), **processor.listeners.addresses)
        await waiting
        log.info("stopping: no more requests are taken")
    finally:
        await processor.stop()
    return 0
