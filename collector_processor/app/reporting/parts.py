"""The parts of a status, each from what the processor, the journal and the database said last."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

from collector_processor.app.forwarding.process import protocol_of
from collector_processor.app.journalling.front import Snapshot as JournalSnapshot
from collector_processor.app.journalling.sealing import SECOND, Waiting
from collector_processor.app.reporting import status
from collector_processor.app.reporting.equations import database_spans, deep_samples, journal_spans, records
from collector_processor.app.reporting.health import Watched
from collector_processor.store.figures import Figures


class Looked(NamedTuple):
    """What was seen: the journal and its sealed batches of one moment, and the database, if it has ever answered."""

    processor: Watched
    journal: JournalSnapshot
    sealed: list[Waiting]
    figures: Figures | None


def place(looked: Looked) -> status.Place:
    """Where data is."""
    settings, counters, summary = looked.processor.settings, looked.journal.counters, looked.journal.summary
    oldest = summary.oldest_arrival
    return status.Place(
        open_tasks=summary.with_task,
        open_traces=summary.traces,
        max_open_traces=settings.max_open_traces,
        open_spans=counters.open,
        max_open_spans=settings.max_open_spans,
        closed_tasks=summary.ready,
        next_flush_seconds=settings.flush_interval if summary.ready else None,
        sealed_batches=len(looked.sealed),
        sealed_tasks=sum(batch.tasks for batch in looked.sealed),
        oldest_open_task_seconds=None if oldest is None else time.time() - oldest / SECOND,
    )


def database(looked: Looked, lag: float) -> status.Database:
    """How the database is, and as of when it has told of its contents."""
    keeper, figures = looked.processor.database, looked.figures
    return status.Database(
        url=keeper.shown_url,
        tier=keeper.tier,
        up=keeper.problem is None,
        lag_seconds=lag,
        error=keeper.problem,
        asked_seconds_ago=None if figures is None else time.monotonic() - figures.asked_at,
        maintenance=_maintenance(figures, looked.processor.upkeep.problem),
    )


def _maintenance(figures: Figures | None, problem: str | None) -> status.Maintenance:
    if figures is None:
        return status.Maintenance(error=problem)
    done = figures.upkeep
    return status.Maintenance(
        stale_hours=done.stale_hours,
        settled_at=None if done.settled_at is None else done.settled_at.isoformat(),
        retired_at=None if done.retired_at is None else done.retired_at.isoformat(),
        error=problem,
    )


def equations(looked: Looked) -> Iterator[status.Equation]:
    """Where every span and record is; the database's once it has told."""
    counters = looked.journal.counters
    yield journal_spans(counters)
    yield records(counters)
    yield deep_samples(counters)
    if looked.figures is not None:
        yield database_spans(looked.figures.ledger)


def waiting(looked: Looked) -> status.Waiting | None:
    """What waits for its task in the database."""
    if looked.figures is None:
        return None
    settings, found = looked.processor.settings, looked.figures.waiting
    return status.Waiting(
        facts=found.facts,
        evaluations=found.evaluations,
        max_facts=settings.max_waiting,
        oldest_seconds=None if found.since is None else time.time() - found.since.timestamp(),
        max_seconds=settings.max_waiting_age,
    )


def privacy(looked: Looked) -> status.Privacy | None:
    """What the privacy pass did; None where it is off."""
    keys, done = looked.processor.privacy_keys, looked.processor.pool.redactions
    if keys is None:
        return None
    return status.Privacy(
        keys=tuple(key_id for key_id, _ in keys), texts=done.texts, replaced=done.replaced, withheld=done.withheld
    )


def analysis(looked: Looked) -> status.Analysis:
    """Deep samples."""
    counters, oldest, figures = looked.journal.counters, looked.journal.oldest_analysis, looked.figures
    settings = looked.processor.settings
    return status.Analysis(
        pending=counters.samples_pending,
        oldest_pending_seconds=None if oldest is None else time.time() - oldest / SECOND,
        bytes=counters.analysis_bytes,
        max_bytes=int(settings.journal_max_bytes * settings.analysis_share),
        stored=None if figures is None else figures.deep_samples,
        problem=looked.processor.analysing.problem,
    )


def halted(looked: Looked) -> Iterator[status.Halted]:
    """Sources whose tasks wait."""
    held = looked.processor.front.held
    for halt in looked.processor.halts.current:
        if (mine := held.get(halt.source)) is not None:
            yield status.Halted(
                source=halt.source,
                since=halt.since.isoformat(),
                found=halt.found,
                record=str(halt.id),
                bytes=mine.bytes,
                max_bytes=mine.max_bytes,
                seconds_to_full=mine.seconds_to_full,
            )


def forward(looked: Looked) -> status.Forward | None:
    """Traces on their way to a backend; None without one."""
    settings, forwarding = looked.processor.settings, looked.processor.forwarding
    if settings.forward_endpoint is None or forwarding is None:
        return None
    return status.Forward(
        endpoint=settings.forward_endpoint,
        protocol=protocol_of(settings),
        sent=forwarding.sent,
        sampled_out=forwarding.sampled,
        dropped={reason.value: spans for reason, spans in forwarding.dropped.items()},
        waiting_bytes=forwarding.waiting_bytes,
        problem=forwarding.problem,
        texts=forwarding.redactions.texts,
        replaced=forwarding.redactions.replaced,
        withheld=forwarding.redactions.withheld,
    )


def off(looked: Looked) -> Iterator[status.Off]:
    """Parts that are not at work, and why."""
    settings = looked.processor.settings
    for name in ("otlp_grpc", "otlp_http", "admin"):
        if getattr(settings, name) is None:
            yield status.Off(what=name, why=f"COLLECTOR_PROCESSOR_{name.upper()} is empty")
    if settings.privacy == "off":
        why = "COLLECTOR_PROCESSOR_PRIVACY is off: texts are stored and forwarded as they come"
        yield status.Off(what="privacy", why=why)
    if settings.tenant_key is None:
        why = "COLLECTOR_PROCESSOR_TENANT_KEY is not set: tenants in clear are left out of records"
        yield status.Off(what="tenants", why=why)
    if settings.forward_endpoint is None:
        why = "COLLECTOR_PROCESSOR_FORWARD_ENDPOINT is not set: traces go nowhere else"
        yield status.Off(what="forwarding", why=why)
    if settings.judge_url is None:
        why = "COLLECTOR_PROCESSOR_JUDGE_URL is not set: no task is judged by a model"
        yield status.Off(what="judge", why=why)
    yield from looked.processor.upkeep.quality.off()
