"""Which records a command is about: by id, or by filters that have to hold together; and the way to the quarantine."""

from __future__ import annotations

import argparse
import uuid
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeVar

from collector_processor.cli.commands import moment, positive
from collector_processor.cli.configuration import load_settings
from collector_processor.cli.output import print_rows

if TYPE_CHECKING:
    from collector_processor.app.commands.access import Quarantine, Quarantined, Selection
    from collector_processor.model.record import State

T = TypeVar("T")

FILTERS: Final = ("gate", "severity", "task_type", "agent", "since")
COLUMNS: Final = ("id", "timestamp", "task_id", "task_type", "agent_id", "state", "gates_failed", "severities")


def add_id(parser: argparse.ArgumentParser) -> None:
    """Give a command one record's id."""
    parser.add_argument("id", type=uuid.UUID, metavar="ID", help="the record's id")


def add_filters(parser: argparse.ArgumentParser, *, limit: int | None) -> None:
    """Give a command the filters; `limit` is how many records it takes unless told otherwise, None all."""
    parser.add_argument("--gate", metavar="GATE", help="records that failed this gate")
    parser.add_argument("--severity", metavar="SEVERITY", help="… or any gate with this severity")
    parser.add_argument("--task-type", metavar="TYPE", help="of this type")
    parser.add_argument("--agent", metavar="ID", help="of this agent")
    parser.add_argument("--since", type=moment, metavar="TIME", help="received since: 7d, 12h, or 2026-11-22T12:00Z")
    default = "all" if limit is None else str(limit)
    parser.add_argument("--limit", type=positive, default=limit, metavar="N", help=f"the newest N; default: {default}")
    parser.set_defaults(refuse=parser.error)


def is_filtered(options: argparse.Namespace) -> bool:
    """Tell whether a filter was given."""
    return any(getattr(options, name) is not None for name in FILTERS)


def selection_of(options: argparse.Namespace, *states: State) -> Selection:
    """The records of these states that ids or filters choose."""
    from collector_processor.app.commands.access import Selection
    from collector_processor.model.record import GateName, Severity

    _check(options, "gate", GateName)
    _check(options, "severity", Severity)
    ids = getattr(options, "ids", None) or None
    return Selection(states, ids, **{name: getattr(options, name) for name in FILTERS})


def review(options: argparse.Namespace, decide: Callable[[Quarantine], Awaitable[T]]) -> T:
    """Ask or decide about records, on the configured database."""
    from collector_processor.app.commands import access

    settings = load_settings(options)
    with access.opened(settings) as url:
        return access.review(url, settings, decide)


def print_records(records: Sequence[Quarantined], options: argparse.Namespace) -> None:
    """Print a row a record in the format that the options ask for."""
    print_rows(COLUMNS, records, options)


def _check(options: argparse.Namespace, name: str, known: type[StrEnum]) -> None:
    given = getattr(options, name)
    if given is not None and given not in [*known]:
        options.refuse(f"--{name}: {given!r} is not one of {', '.join(known)}")
