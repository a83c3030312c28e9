"""`privacy`: search stored records again, and let sources go on that were halted for what was found."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from collector_processor.cli.author import add_author, author_of
from collector_processor.cli.commands import Commands, positive
from collector_processor.cli.configuration import load_settings
from collector_processor.cli.output import add_formats, print_json, print_rows

if TYPE_CHECKING:
    from collector_processor.app.reporting.status import Halted

_HALTED: Final = ("source", "since", "id", "found", "bytes", "max_bytes", "hours_to_full")


def add_to(commands: Commands) -> None:
    """Add the group `privacy`."""
    group = commands.group("privacy", "personal data and credentials in what is stored")
    scan = group.add("scan", "search what is stored again; records with findings are redacted and quarantined")
    scan.add_argument("--since", type=_age, metavar="AGE", help="only records younger than this, such as 30d or 12h")
    scan.add_argument("--limit", type=positive, default=None, metavar="N", help="at most so many, the oldest first")
    add_formats(scan)
    scan.set_defaults(run=_scan)

    status = group.add("status", "sources that are halted after a violation, and what the journal holds of them")
    add_formats(status, with_csv=True)
    status.set_defaults(run=_status)

    resume = group.add("resume", "let the tasks of a halted source be stored again")
    resume.add_argument("source", metavar="SOURCE", help="as `privacy status` names it")
    resume.add_argument("--reason", default="", help="why; it stays in the trail of the record")
    add_author(resume)
    resume.set_defaults(run=_resume)


def _age(text: str) -> timedelta:
    unit = {"d": 86_400, "h": 3600, "m": 60}.get(text[-1:])
    if unit is None or not text[:-1].isdecimal() or not int(text[:-1]):
        raise argparse.ArgumentTypeError(f"{text!r} is no age such as 30d, 12h or 90m")
    return timedelta(seconds=int(text[:-1]) * unit)


def _status(options: argparse.Namespace) -> int:
    from collector_processor.app.commands import scanning

    settings = load_settings(options)
    halts = scanning.halts(settings)
    held = scanning.held(settings) if halts else {}
    print_rows(_HALTED, [(*halt, *_room(held.get(halt.source))) for halt in halts], options)
    return 0


def _room(held: Halted | None) -> tuple[int | None, int | None, float | None]:
    """What the journal holds, of how much, and hours until then; nothing where no processor runs."""
    if held is None:
        return None, None, None
    hours = None if held.seconds_to_full is None else round(held.seconds_to_full / 3600, 1)
    return held.bytes, held.max_bytes, hours


def _resume(options: argparse.Namespace) -> int:
    from collector_processor.app.commands import scanning

    scanning.resume(load_settings(options), options.source, author=author_of(options), reason=options.reason)
    print(f"{options.source} goes on")
    return 0


def _scan(options: argparse.Namespace) -> int:
    from collector_processor.app.commands import scanning

    since = datetime.now(UTC) - options.since if options.since else None
    scanned = scanning.scan(load_settings(options), since=since, limit=options.limit)
    if options.json:
        told = {name: [each._asdict() for each in getattr(scanned, name)] for name in ("violations", "unsearched")}
        print_json({"records": scanned.records, **told, "elsewhere": dict(scanned.elsewhere)})
    else:
        types = scanning.by_type(scanned.violations)
        said = ", ".join(f"{count} {name}" for name, count in sorted(types.items()))
        print(
            f"{scanned.records} records searched, {len(scanned.violations)} with findings" + (f": {said}" * bool(said))
        )
        for place, count in scanned.elsewhere.items():
            print(f"redacted elsewhere: {count} {place}")
        if scanned.violations:
            rows = [
                (each.id, each.task_id, each.source, {**each.found, **each.withheld}) for each in scanned.violations
            ]
            print_rows(("id", "task_id", "source", "found"), rows, options)
        if scanned.unsearched:
            print(f"{len(scanned.unsearched)} records could not be searched, and are withheld")
            print_rows(("id", "problem"), scanned.unsearched, options)
    return 1 if scanned.violations or scanned.unsearched or scanned.elsewhere else 0
