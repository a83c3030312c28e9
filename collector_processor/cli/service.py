"""`serve` and `demo` start a processor; `status` and `flush` ask the one that runs."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from collector_processor.cli.commands import Commands, positive
from collector_processor.cli.configuration import load_settings
from collector_processor.cli.output import add_formats, print_json

if TYPE_CHECKING:
    from collector_processor.app.reporting.status import Analysis, Forward, Maintenance, Privacy, Status

DEMO_TASKS: Final = 240
_FLUSH_SECONDS: Final = 120.0
_STALE_SECONDS: Final = 10.0
"""Figures younger than this are told without their age."""


def add_to(commands: Commands) -> None:
    """Add `serve`, `demo`, `status` and `flush`."""
    serve = commands.add("serve", "receive, journal, convert and store until SIGTERM or Ctrl-C")
    serve.set_defaults(run=_serve)

    demo = commands.add("demo", "run a small real arbiter, store what it did, show it and what it cost")
    demo.add_argument("--keep", action="store_true", help="leave the processor running until Ctrl-C")
    demo.add_argument("--tasks", type=positive, default=DEMO_TASKS, metavar="N", help="default: %(default)s")
    demo.add_argument("--data-dir", type=Path, metavar="DIR", help="keep the data here; default: thrown away")
    demo.add_argument("--forward", metavar="URL", help="an OTLP endpoint that traces go to, such as a Jaeger's")
    demo.set_defaults(run=_demo)

    status = commands.add("status", "how the running processor is and where data is")
    add_formats(status)
    status.set_defaults(run=_status)

    flush = commands.add("flush", "close and write now what can be")
    add_formats(flush)
    flush.set_defaults(run=_flush)


def _serve(options: argparse.Namespace) -> int:
    from collector_processor import telemetry
    from collector_processor.app import serve
    from collector_processor.config import load

    settings = load(os.environ, options.config).settings
    telemetry.configure(settings)
    return serve.run(settings)


def _demo(options: argparse.Namespace) -> int:
    from collector_processor.demo import run

    return run.run(keep=options.keep, tasks=options.tasks, data_dir=options.data_dir, forward=options.forward)


def _status(options: argparse.Namespace) -> int:
    import msgspec

    from collector_processor.app.control import ask
    from collector_processor.app.reporting.status import Status

    answer = ask(load_settings(options).data_dir, "status")
    status = msgspec.convert(answer, Status)
    if options.json:
        print_json(answer)
    else:
        print("\n".join(_lines(status)))
    balanced = not any(equation.missing for equation in status.equations)
    return 0 if balanced and status.health.state != "failed" else 1


def _flush(options: argparse.Namespace) -> int:
    from collector_processor.app.control import ask

    answer: dict[str, Any] = ask(load_settings(options).data_dir, "flush", timeout=_FLUSH_SECONDS)
    if options.json:
        print_json(answer)
    else:
        print(f"closed and stored {answer['sealed']} tasks and late parts")
    return 0


def _lines(status: Status) -> list[str]:
    """The status in words."""
    place, database, journal = status.place, status.database, status.journal
    rows = [
        ("processor", f"{status.version}, process {status.pid}, up {_age(status.uptime_seconds)}"),
        ("health", "; ".join((status.health.state.value, *status.health.reasons))),
        ("receives", ", ".join(f"{name} {address}" for name, address in status.listening.items()) or "nothing"),
        ("journal", f"{_bytes(journal.bytes)} of {_bytes(journal.max_bytes)}" + _until_full(journal.seconds_to_full)),
        ("open", f"{place.open_tasks} tasks, {place.open_spans} spans" + _oldest(place.oldest_open_task_seconds)),
        ("closed", f"{place.closed_tasks} tasks and late parts" + _next(place.next_flush_seconds)),
        ("sealed", f"{place.sealed_tasks} tasks and late parts in {place.sealed_batches} batches"),
        ("database", _database(database.tier, database.up, database.lag_seconds, database.error)),
        ("", database.url),
        *_maintenance(database.maintenance),
    ]
    if (points := status.collection.total_data_points) is not None:
        rows.append(("stored", f"{points} data points{_as_of(database.asked_seconds_ago)}"))
    if (waiting := status.waiting) is not None and waiting.facts:
        told = f"{waiting.facts} facts without their task, {waiting.evaluations} evaluations among them"
        rows.append(("waiting", told + _oldest(waiting.oldest_seconds)))
    if (fallback := status.fallback).batches or fallback.problem:
        rows.append(("fallback", f"{fallback.tasks} tasks in {fallback.batches} batches, {_bytes(fallback.bytes)}"))
        rows.append(("", fallback.folder + (f": {fallback.problem}" if fallback.problem else "")))
    if (privacy := status.privacy) is not None:
        rows.append(("privacy", _searched(privacy)))
    if status.analysis is not None:
        rows += _analysis(status.analysis)
    for each in status.halted:
        held = f"{_bytes(each.bytes)} of {_bytes(each.max_bytes)}" + _until_full(each.seconds_to_full)
        rows.append(("halted", f"{each.source} since {each.since}: {each.found} in record {each.record}; {held}"))
    if (forward := status.forward) is not None:
        counts = {"sent": forward.sent, "sampled out": forward.sampled_out}
        counts |= {f"dropped: {reason.replace('_', ' ')}": spans for reason, spans in forward.dropped.items()}
        told = ", ".join(f"{name} {spans}" for name, spans in counts.items() if spans) or "nothing yet"
        rows.append(("forwarded", f"{told}; {_bytes(forward.waiting_bytes)} waiting"))
        rows.append(("", forward.endpoint + (f": {forward.problem}" if forward.problem else "")))
        if forward.texts:
            rows.append(("", _searched(forward)))
    for equation in status.equations:
        sides = f"{equation.total_name} {equation.total} = " + " + ".join(
            f"{name} {count}" for name, count in equation.terms.items() if count
        )
        verdict = "balances" if equation.missing == 0 else f"does NOT balance: {equation.missing} missing"
        rows += [(equation.name, verdict), ("", sides if any(equation.terms.values()) else f"{sides}0")]
    rows += [("off", f"{off.what}: {off.why}") for off in status.off]
    width = max(len(name) for name, _ in rows)
    return [f"{name.ljust(width)}  {text}" for name, text in rows]


def _searched(done: Privacy | Forward) -> str:
    """What the privacy pass did: to what is stored, or to what is forwarded."""
    by_kind = {"replaced": done.replaced, "withheld": done.withheld}
    counted = [f"{what} {_counts(by_name)}" for what, by_name in by_kind.items() if by_name]
    return "; ".join([f"{done.texts} texts searched", *counted])


def _analysis(analysis: Analysis) -> list[tuple[str, str]]:
    waiting = f"{analysis.pending} waiting" + _oldest(analysis.oldest_pending_seconds)
    if analysis.bytes:
        waiting += f", {_bytes(analysis.bytes)} of {_bytes(analysis.max_bytes)} of the journal"
    rows = [("deep samples", waiting + (f": {analysis.problem}" if analysis.problem else ""))]
    stored = analysis.stored or {}
    return [*rows, *(("", f"{facet}: {_counts(endings)} in 24 h") for facet, endings in stored.items())]


def _database(tier: str | None, up: bool, lag: float, error: str | None) -> str:
    state = f"{tier or 'PostgreSQL'}, {_age(lag)} behind"
    return state if up else f"DOWN ({error or 'no answer'}), {_age(lag)} behind"


def _as_of(age: float | None) -> str:
    """For figures of a database that is asked seldom."""
    return "" if age is None or age < _STALE_SECONDS else f", as of {_age(age)} ago"


def _maintenance(done: Maintenance) -> list[tuple[str, str]]:
    if done.stale_hours is None:
        return []
    told = [f"{done.stale_hours} hours of statistics to settle"]
    if done.settled_at is not None:
        told.append(f"settled {_moment(done.settled_at)}")
    if done.retired_at is not None:
        told.append(f"old records retired {_moment(done.retired_at)}")
    rows = [("maintenance", ", ".join(told))]
    return [*rows, ("", f"FAILED, it will be tried again: {done.error}")] if done.error else rows


def _counts(by_name: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(by_name.items()))


def _moment(written: str) -> str:
    return f"{written[:19]}Z"


def _oldest(seconds: float | None) -> str:
    return "" if seconds is None else f", the oldest for {_age(seconds)}"


def _next(seconds: float | None) -> str:
    return "" if seconds is None else f", sealed in {_age(seconds)} at the latest"


def _until_full(seconds: float | None) -> str:
    return "" if seconds is None else f", full in {_age(seconds)}"


def _age(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def _bytes(size: int) -> str:
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} B"
