"""`erase`: take a tenant, a user or a task out of everything that is stored."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from collector_processor.cli.author import add_author, author_of
from collector_processor.cli.commands import Commands
from collector_processor.cli.configuration import load_settings
from collector_processor.cli.output import add_formats, print_json
from collector_processor.errors import BenchmarkError


def add_to(commands: Commands) -> None:
    """Add `erase`."""
    parser = commands.add("erase", "remove all that is stored of a tenant, a user or a task, for good")
    whose = parser.add_mutually_exclusive_group(required=True)
    whose.add_argument("--tenant", metavar="ID", help="a tenant, as applications name it or by its hash")
    whose.add_argument("--user", metavar="ID", help="records in which this person's pseudonym stands anywhere")
    whose.add_argument("--task", metavar="ID", help="all records of this task id")
    parser.add_argument("--dry-run", action="store_true", help="only count what would go")
    parser.add_argument("--yes", action="store_true", help="don't ask whether you mean it")
    parser.add_argument("--reason", default="", help="why; it stays in the view `erasures`")
    add_author(parser)
    add_formats(parser)
    parser.set_defaults(run=_erase)


def _erase(options: argparse.Namespace) -> int:
    import msgspec

    from collector_processor.app.commands import erasing

    kind = next(kind for kind in erasing.Kind if getattr(options, kind) is not None)
    order = erasing.Order(kind, getattr(options, kind), author_of(options), options.reason, options.dry_run)
    if not order.value.strip():
        raise BenchmarkError(f"--{kind} is empty: say whose data is to go")
    settings = load_settings(options)
    if not order.dry and not options.yes:
        _confirm(kind)
    done = erasing.carry_out(settings, order)
    if options.json:
        print_json(msgspec.to_builtins(done))
    else:
        _tell(done)
    return 1 if done.waiting and not order.dry else 0


def _confirm(kind: str) -> None:
    if not sys.stdin.isatty():
        raise BenchmarkError("erasing is for good: add --yes, or look first with --dry-run")
    if input(f"Everything of this {kind} goes for good. Type `erase` to go on: ").strip() != "erase":
        raise BenchmarkError("nothing was erased")


def _tell(done: Any) -> None:
    head = "would go" if done.number is None else f"erasure {done.number}"
    print(f"{head}: {done.kind} {done.subject}")
    for place, count in done.removed.items():
        print(f"  {place.replace('_', ' ')} {count}")
    if not done.removed:
        print("  nothing was found")
    if done.refused_days:
        print(f"  what comes under this id is refused for {done.refused_days} days")
    if done.waiting:
        print(f"  {done.waiting} sealed spans without a task wait to be stored: erase again when they are")
