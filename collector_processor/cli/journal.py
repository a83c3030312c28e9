"""`journal`: look into a journal that no processor has open, and get out what is readable."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collector_processor.cli.commands import Commands
from collector_processor.cli.configuration import load_settings
from collector_processor.cli.output import add_formats, print_json, say

if TYPE_CHECKING:
    from collector_processor.app.commands.salvage import Checked


def add_to(commands: Commands) -> None:
    """Add the group `journal`."""
    group = commands.group("journal", "the journal of a processor that doesn't run: is it whole, what does it hold")
    check = group.add("check", "read all of it, and change nothing")
    add_formats(check)
    check.set_defaults(run=_check)

    export = group.add("export", "write what is readable as OTLP in JSON Lines, in clear")
    export.add_argument("folder", type=Path, metavar="DIR", help="where traces.jsonl and logs.jsonl are made")
    add_formats(export)
    export.set_defaults(run=_export)


def _check(options: argparse.Namespace) -> int:
    import msgspec

    from collector_processor.app.commands.salvage import check

    checked = check(load_settings(options))
    if options.json:
        print_json(msgspec.to_builtins(checked) | {"sound": checked.sound})
    else:
        print("\n".join(_lines(checked)))
    return 0 if checked.sound else 1


def _lines(checked: Checked) -> list[str]:
    def told(number: int | None) -> str:
        return "unknown" if number is None else str(number)

    rows: list[tuple[str, Any]] = [
        ("journal", checked.folder),
        ("file", checked.damage or "whole"),
        ("readable", f"{checked.readable_spans} spans and log records"),
        ("open", f"{told(checked.open_spans)} spans"),
        ("sealed", f"{told(checked.sealed_spans)} spans in {told(checked.sealed_batches)} batches"),
        ("analyses", f"{told(checked.analysed_spans)} spans of stored tasks"),
        ("dead letters", told(checked.dead_letters)),
        ("undecodable", f"{told(checked.undecodable_spans)} spans"),
        ("missing", f"{told(checked.missing)} spans"),
        ("unreadable", f"{checked.unreadable_spans} spans, {checked.entries_in_trouble} places"),
        *(("", problem) for problem in checked.problems),
    ]
    return [f"{name.ljust(12)}  {text}" for name, text in rows]


def _export(options: argparse.Namespace) -> int:
    import msgspec

    from collector_processor.app.commands.salvage import export

    done = export(load_settings(options), options.folder)
    if options.json:
        print_json(msgspec.to_builtins(done))
    else:
        print(f"wrote {done.spans} spans and {done.log_records} log records:")
        print("\n".join(f"  {file}" for file in done.files))
    for problem in done.problems:
        say(problem)
    if done.unreadable > len(done.problems):
        say(f"and {done.unreadable - len(done.problems)} places more")
    say("these files hold in clear what applications wrote: delete them when they have been sent")
    return 1 if done.unreadable else 0
