"""What a person decides about records, one or many: correct, revalidate, release, discard."""

from __future__ import annotations

import argparse
import json
import sys
import uuid
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from collector_processor.cli.author import add_author, author_of
from collector_processor.cli.commands import Commands
from collector_processor.cli.configuration import load_settings
from collector_processor.cli.output import add_formats, print_json, say
from collector_processor.cli.selection import add_filters, is_filtered, print_records, review, selection_of
from collector_processor.errors import BenchmarkError

if TYPE_CHECKING:
    from collector_processor.app.commands.access import Quarantine, Quarantined
    from collector_processor.model.record import BenchmarkDataPoint


class _Outcome(NamedTuple):
    """What became of one record, or why nothing did."""

    id: uuid.UUID
    record: BenchmarkDataPoint | None
    error: str | None = None


def add_to(group: Commands) -> None:
    """Add what can be decided to the group `quarantine`."""
    correct = group.add("correct", "change records, and have the gates judge them again")
    _add_ids(correct)
    correct.add_argument(
        "patch", metavar="PATCH", help="a JSON Patch (RFC 6902): as text, in a file (@FILE), or `-` for stdin"
    )
    _add_decision(correct)
    correct.set_defaults(run=_correct)

    revalidate = group.add("revalidate", "have the gates judge records again, by today's settings")
    _add_ids(revalidate)
    _add_decision(revalidate)
    revalidate.set_defaults(run=_revalidate)

    release = group.add("release", "accept records as they are: exports take them")
    _add_ids(release)
    _add_decision(release)
    release.set_defaults(run=_release)

    discard = group.add("discard", "take records out of every view for good")
    _add_ids(discard)
    _add_decision(discard)
    discard.set_defaults(run=_discard)


def _add_ids(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ids", type=uuid.UUID, nargs="*", metavar="ID", help="the records' ids; or choose by filters")


def _add_decision(parser: argparse.ArgumentParser) -> None:
    add_filters(parser, limit=None)
    parser.add_argument("--dry-run", action="store_true", help="show which records it would be, and change nothing")
    parser.add_argument("--yes", action="store_true", help="don't ask before records chosen by filters are changed")
    parser.add_argument("--reason", default="", help="why; it stays with the record")
    add_author(parser)
    add_formats(parser)


def _correct(options: argparse.Namespace) -> int:
    patch = _read_patch(options.patch)
    return _decide(
        options, "correct", lambda decisions, id_, **who: decisions.correct(id_, patch, **who), everywhere=True
    )


def _revalidate(options: argparse.Namespace) -> int:
    return _decide(
        options, "revalidate", lambda decisions, id_, **who: decisions.revalidate(id_, **who), everywhere=True
    )


def _release(options: argparse.Namespace) -> int:
    return _decide(options, "release", lambda decisions, id_, **who: decisions.release(id_, **who))


def _discard(options: argparse.Namespace) -> int:
    return _decide(options, "discard", lambda decisions, id_, **who: decisions.discard(id_, **who))


def _decide(
    options: argparse.Namespace,
    action: str,
    decide: Callable[..., Awaitable[BenchmarkDataPoint]],
    *,
    everywhere: bool = False,
) -> int:
    """Decide about records one after the other, each in a transaction of its own, all for one reason.

    Filters choose in quarantine, `everywhere` also among accepted and released records.
    """
    if bool(options.ids) == is_filtered(options):
        options.refuse("name records by their ids, or choose them by filters such as --gate")
    ids: Sequence[uuid.UUID] = options.ids
    if not ids or options.dry_run:
        found = _find(options, everywhere=everywhere)
        if options.dry_run:
            print_records(found, options)
            say(f"otel-benchmark: {action} would be done to {_count(found)}")
            return 0
        ids = [record.id for record in found]
        if ids:
            _confirm(options, f"{action} {_count(ids)}")
    who = {"author": author_of(options), "reason": options.reason}

    async def decide_all(quarantine: Quarantine) -> list[_Outcome]:
        from collector_processor.app.commands.deciding import Decisions

        decisions = Decisions(quarantine, load_settings(options))
        outcomes = []
        for id_ in ids:
            try:
                outcomes.append(_Outcome(id_, await decide(decisions, id_, **who)))
            except BenchmarkError as error:
                if len(options.ids) == 1:
                    raise
                outcomes.append(_Outcome(id_, None, str(error)))
        return outcomes

    return _tell(options, review(options, decide_all) if ids else [])


def _find(options: argparse.Namespace, *, everywhere: bool) -> list[Quarantined]:
    from collector_processor.model.record import State

    open_to = [State.QUARANTINED]
    if everywhere or options.ids:
        open_to += [State.ACCEPTED, State.RELEASED]
    selection = selection_of(options, *open_to)
    return review(options, lambda quarantine: quarantine.newest(selection, limit=options.limit))


def _confirm(options: argparse.Namespace, what: str) -> None:
    if options.yes:
        return
    if not sys.stdin.isatty():
        raise BenchmarkError(f"nobody can be asked whether to {what}: say --yes, or look first with --dry-run")
    print(f"{what}? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise BenchmarkError("nothing was changed")


def _count(records: Sequence[Any]) -> str:
    return f"{len(records)} record" + ("" if len(records) == 1 else "s")


def _read_patch(argument: str) -> list[dict[str, Any]]:
    if argument == "-":
        text = sys.stdin.read()
    elif argument.startswith("@"):
        text = Path(argument[1:]).read_text(encoding="utf-8")
    else:
        text = argument
    try:
        patch = json.loads(text)
    except ValueError as error:
        raise BenchmarkError(f"PATCH is no JSON: {error}") from None
    if not isinstance(patch, list) or not all(isinstance(step, dict) for step in patch):
        raise BenchmarkError(
            'PATCH is a list of steps, such as [{"op": "replace", "path": "/task/type", "value": "…"}]'
        )
    return patch


def _tell(options: argparse.Namespace, outcomes: Sequence[_Outcome]) -> int:
    """Say what became of each record: a correction may leave gates that still fail."""
    if options.json:
        told = [_plain(outcome) for outcome in outcomes]
        print_json(told[0] if len(options.ids) == 1 else told)
    else:
        for outcome in outcomes:
            plain = _plain(outcome)
            print(f"{outcome.id} is {plain['state']}" if outcome.record else f"{outcome.id}: {outcome.error}")
            for gate, reason in plain.get("gates_failed", {}).items():
                print(f"  {gate}: {reason}")
        if len(options.ids) != 1:
            done = [outcome for outcome in outcomes if outcome.record]
            say(f"otel-benchmark: done to {_count(done)}, refused for {len(outcomes) - len(done)}")
    return 0 if all(outcome.record for outcome in outcomes) else 1


def _plain(outcome: _Outcome) -> dict[str, Any]:
    if outcome.record is None:
        return {"id": outcome.id, "error": outcome.error}
    assert outcome.record.verdict is not None
    failed: dict[str, str] = {}
    for gate in outcome.record.verdict.gates_failed:
        failed[gate.gate] = f"{failed[gate.gate]}; {gate.reason}" if gate.gate in failed else gate.reason
    return {"id": outcome.id, "state": outcome.record.state.value, "gates_failed": failed}
