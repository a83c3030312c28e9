"""`quarantine`: records that failed a gate, what was decided about them, and spans that nobody can read."""

from __future__ import annotations

import argparse
from base64 import b64decode
from typing import TYPE_CHECKING

from collector_processor.cli import decisions
from collector_processor.cli.commands import Commands, moment, positive
from collector_processor.cli.configuration import load_settings
from collector_processor.cli.output import add_formats, print_json, print_rows, print_table
from collector_processor.cli.selection import add_filters, add_id, print_records, review, selection_of

if TYPE_CHECKING:
    from collector_processor.app.commands.access import Decision, Quarantine
    from collector_processor.model.record import BenchmarkDataPoint


def add_to(commands: Commands) -> None:
    """Add the group `quarantine`."""
    group = commands.group("quarantine", "records that failed a gate and wait for a decision")
    listing = group.add("list", "the newest of them")
    add_filters(listing, limit=100)
    listing.add_argument(
        "--undecodable",
        action="store_true",
        help="instead, the oldest spans that could not be read, from the running processor; --json has their bytes",
    )
    add_formats(listing, with_csv=True)
    listing.set_defaults(run=_list)

    show = group.add("show", "why a record failed and what was decided about it; --json has the whole record")
    add_id(show)
    add_formats(show)
    show.set_defaults(run=_show)

    decisions.add_to(group)

    audit = group.add("audit", "the newest decisions about any record: who, when, what, why")
    audit.add_argument(
        "--action",
        choices=("correct", "revalidate", "release", "discard", "scan", "resume", "discard-letter"),
        help="decisions of this kind",
    )
    audit.add_argument("--author", metavar="NAME", help="decisions of this person")
    audit.add_argument("--since", type=moment, metavar="TIME", help="decided since: 7d, 12h, or 2026-11-22T12:00Z")
    audit.add_argument("--limit", type=positive, default=100, metavar="N", help="default: %(default)s")
    add_formats(audit, with_csv=True)
    audit.set_defaults(run=_audit)


def _list(options: argparse.Namespace) -> int:
    if options.undecodable:
        return _list_undecodable(options)
    from collector_processor.model.record import State

    selection = selection_of(options, State.QUARANTINED)
    print_records(review(options, lambda quarantine: quarantine.newest(selection, limit=options.limit)), options)
    return 0


def _list_undecodable(options: argparse.Namespace) -> int:
    from collector_processor.app.control import ask

    kept = ask(load_settings(options).data_dir, "undecodable", {"limit": options.limit})
    if options.json:
        print_json(kept)
    else:
        rows = [(each["trace_id"], each["span_id"], len(b64decode(each["raw"])), each["reason"]) for each in kept]
        print_rows(("trace_id", "span_id", "bytes", "reason"), rows, options)
    return 0


def _show(options: argparse.Namespace) -> int:
    import msgspec

    async def look(quarantine: Quarantine) -> tuple[BenchmarkDataPoint, list[Decision]]:
        return await quarantine.show(options.id), await quarantine.trail(options.id)

    record, trail = review(options, look)
    if options.json:
        print_json({"record": msgspec.to_builtins(record), "decisions": [decision._asdict() for decision in trail]})
    else:
        _print_record(record, trail)
    return 0


def _print_record(record: BenchmarkDataPoint, trail: list[Decision]) -> None:
    """Print what a person needs to decide."""
    assert record.verdict is not None
    task, execution = record.task, record.execution
    agent = execution.agent.id if execution else None
    print_table(
        ("record", str(record.id)),
        [
            ("state", f"{record.state}, revision {record.revision}"),
            ("task", f"{task.id}, {task.type}, received {record.timestamp}"),
            ("agent", agent or "unknown"),
            ("trace", record.provenance.trace_id),
        ],
    )
    failed = [(gate.gate, gate.severity.value, gate.reason) for gate in record.verdict.gates_failed]
    parts = (
        (("failed gate", "severity", "reason"), failed),
        (("decided", "action", "author", "reason"), [decision[:4] for decision in trail]),
        (
            ("anomaly", "field", "detail"),
            [(each.problem.value, each.field, each.detail) for each in record.facts.anomalies],
        ),
    )
    for columns, rows in parts:
        if rows:
            print()
            print_table(columns, rows, whole=True)


def _audit(options: argparse.Namespace) -> int:
    found = review(
        options,
        lambda quarantine: quarantine.audit(
            action=options.action, author=options.author, since=options.since, limit=options.limit
        ),
    )
    print_rows(("time", "id", "action", "author", "reason", "patch"), found, options)
    return 0
