"""`dead-letter`: tasks that could not be stored, and what is to become of them."""

from __future__ import annotations

import argparse
from base64 import b64decode
from typing import Any

from collector_processor.cli.author import add_author, author_of
from collector_processor.cli.commands import Commands, positive
from collector_processor.cli.configuration import load_settings
from collector_processor.cli.output import add_formats, print_json, print_rows, print_table

_COLUMNS = ("id", "buried_at", "kind", "spans", "bytes", "trace_id", "error")


def add_to(commands: Commands) -> None:
    """Add the group `dead-letter`."""
    group = commands.group("dead-letter", "tasks that could not be stored, kept in the journal with their error")
    listing = group.add("list", "the newest of them")
    listing.add_argument("--limit", type=positive, default=100, metavar="N", help="default: %(default)s")
    add_formats(listing, with_csv=True)
    listing.set_defaults(run=_list)

    show = group.add("show", "why a task was not stored, and its spans, redacted")
    show.add_argument("id", metavar="ID", help="the letter's id")
    add_formats(show)
    show.set_defaults(run=_show)

    retry = group.add("retry", "try to store tasks again, as if they had been sealed now")
    retry.add_argument("ids", metavar="ID", nargs="*", help="the letters' ids; default: all")
    add_formats(retry)
    retry.set_defaults(run=_retry)

    discard = group.add("discard", "delete tasks for good")
    discard.add_argument("ids", metavar="ID", nargs="+", help="the letters' ids")
    discard.add_argument("--reason", default="", help="why; it stands in the audit trail and the log, redacted")
    add_author(discard)
    add_formats(discard)
    discard.set_defaults(run=_discard)


def _list(options: argparse.Namespace) -> int:
    from collector_processor.app.commands.dead_letters import carry_out

    letters: list[dict[str, Any]] = carry_out(load_settings(options), "dead_letters", limit=options.limit)
    if options.json:
        print_json(letters)
    else:
        print_rows(_COLUMNS, [[letter[column] for column in _COLUMNS] for letter in letters], options)
    return 0


def _show(options: argparse.Namespace) -> int:
    from collector_processor.app.commands.dead_letters import carry_out
    from collector_processor.app.commands.shown_spans import shown

    settings = load_settings(options)
    opened = carry_out(settings, "dead_letter", id=options.id)
    letter, spans = opened["letter"], shown([b64decode(payload) for payload in opened["payloads"]], settings)
    if options.json or opened["facts"]:
        print_json(letter | {"spans": spans, "facts": opened["facts"]})
        return 0
    print_table(("dead letter", letter["id"]), [(name, letter[name]) for name in letter if name != "id"], whole=True)
    for span in spans:
        print()
        rows = [(name, value) for name, value in span.items() if not isinstance(value, dict | list)]
        rows += [(name, value) for name, value in span.get("attributes", {}).items()]
        print_table(("span", span.get("span_id", "")), [row for row in rows if row[1] is not None], whole=True)
    return 0


def _retry(options: argparse.Namespace) -> int:
    from collector_processor.app.commands.dead_letters import carry_out

    done: dict[str, int] = carry_out(load_settings(options), "retry_dead_letters", ids=options.ids)
    if options.json:
        print_json(done)
    else:
        print(f"sealed {done['retried']} anew: they are stored, or back here, in a moment")
    return 0


def _discard(options: argparse.Namespace) -> int:
    from collector_processor.app.commands.dead_letters import discard
    from collector_processor.app.privacy import written_reason

    settings = load_settings(options)
    reason = written_reason(settings, options.reason)
    discarded = discard(settings, options.ids, author=author_of(options), reason=reason)
    if options.json:
        print_json({"discarded": discarded})
    else:
        print(f"discarded {discarded}")
    return 0
