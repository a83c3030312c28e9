"""`quarantine`: records that failed a gate, what a person decides about them, and spans that nobody can read."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
import uuid
from base64 import b64decode
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from collector_processor.cli.commands import Commands, positive
from collector_processor.cli.configuration import load_settings
from collector_processor.cli.output import add_formats, print_json, print_rows
from collector_processor.errors import BenchmarkError

if TYPE_CHECKING:
    from collector_processor.app.access import Decision, Quarantine
    from collector_processor.model.record import BenchmarkDataPoint

T = TypeVar("T")


def add_to(commands: Commands) -> None:
    """Add the group `quarantine`."""
    group = commands.group("quarantine", "records that failed a gate and wait for a decision")
    listing = group.add("list", "the newest of them")
    listing.add_argument("--limit", type=positive, default=100, metavar="N", help="default: %(default)s")
    listing.add_argument(
        "--undecodable",
        action="store_true",
        help="instead, the oldest spans that could not be read, from the running processor; --json has their bytes",
    )
    add_formats(listing, with_csv=True)
    listing.set_defaults(run=_list)

    show = group.add("show", "the whole record as JSON")
    _add_id(show)
    show.set_defaults(run=_show)

    correct = group.add("correct", "change the record, and have the gates judge it again")
    _add_id(correct)
    correct.add_argument(
        "patch", metavar="PATCH", help="a JSON Patch (RFC 6902): as text, in a file (@FILE), or `-` for stdin"
    )
    _add_decision(correct)
    correct.set_defaults(run=_correct)

    release = group.add("release", "accept the record as it is: exports take it")
    _add_id(release)
    _add_decision(release)
    release.set_defaults(run=_release)

    discard = group.add("discard", "take the record out of every view for good")
    _add_id(discard)
    _add_decision(discard)
    discard.set_defaults(run=_discard)


def _add_id(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", type=uuid.UUID, metavar="ID", help="the record's id")


def _add_decision(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reason", default="", help="why; it stays with the record")
    parser.add_argument("--author", default=None, help="who decides; default: the name you are logged in with")
    add_formats(parser)


def _list(options: argparse.Namespace) -> int:
    if options.undecodable:
        return _list_undecodable(options)
    rows = _review(options, lambda quarantine: quarantine.newest(limit=options.limit))
    print_rows(("id", "timestamp", "task_id", "gates_failed"), rows, options)
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

    record, trail = _review(options, look)
    decisions = [decision._asdict() for decision in trail]
    print_json({"record": msgspec.to_builtins(record), "decisions": decisions})
    return 0


def _correct(options: argparse.Namespace) -> int:
    from collector_processor.app import access

    patch = _read_patch(options.patch)
    who = _decision(options)
    settings = load_settings(options)
    return _tell(
        options,
        _review(options, lambda quarantine: access.correct(quarantine, options.id, patch, settings=settings, **who)),
    )


def _release(options: argparse.Namespace) -> int:
    who = _decision(options)
    return _tell(options, _review(options, lambda quarantine: quarantine.release(options.id, **who)))


def _discard(options: argparse.Namespace) -> int:
    who = _decision(options)
    return _tell(options, _review(options, lambda quarantine: quarantine.discard(options.id, **who)))


def _review(options: argparse.Namespace, decide: Callable[[Quarantine], Awaitable[T]]) -> T:
    from collector_processor.app import access

    settings = load_settings(options)
    with access.opened(settings) as url:
        return access.review(url, settings, decide)


def _decision(options: argparse.Namespace) -> dict[str, str]:
    return {"author": _author(options), "reason": options.reason}


def _author(options: argparse.Namespace) -> str:
    if options.author is not None:
        return str(options.author)
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # an account without a name, as in many containers
        raise BenchmarkError("your account has no name here: say who decides with --author NAME") from None


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


def _tell(options: argparse.Namespace, record: BenchmarkDataPoint) -> int:
    """Say what became of the record: a correction may leave gates that still fail."""
    assert record.verdict is not None
    failed = {gate.gate: gate.reason for gate in record.verdict.gates_failed}
    if options.json:
        print_json({"id": record.id, "state": record.state.value, "gates_failed": failed})
    else:
        print(f"{record.id} is {record.state}")
        for gate, reason in failed.items():
            print(f"  {gate}: {reason}")
    return 0
