"""`clean`: the records that exports take, cleaned, as JSON Lines; and every step that led to them."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from collector_processor.cli.commands import Commands, moment
from collector_processor.cli.configuration import load_settings
from collector_processor.cli.output import say

if TYPE_CHECKING:
    from collector_processor.app.commands.access import Cleaned
    from collector_processor.train import Action

_PLACE: Final = re.compile(r"\[\d+\]")


def add_to(commands: Commands) -> None:
    """Add `clean`."""
    parser = commands.add("clean", "print the records that exports take, cleaned, a line of JSON each")
    parser.add_argument("--since", type=moment, metavar="TIME", help="received since: 7d, 12h, or 2026-11-22T12:00Z")
    parser.add_argument("--task-type", metavar="TYPE", help="of this type")
    parser.add_argument("--keep-outliers", action="store_true", help="mark outliers instead of leaving them out")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write to a file that its owner alone can read")
    parser.add_argument("--json", action="store_true", help="tell each step on stderr as a line of JSON")
    parser.set_defaults(run=_clean)


class _Summary:
    """What was done, told on standard error: each step as JSON, or how often each kind of it was taken."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._steps: Counter[tuple[str, str]] = Counter()
        self._read = self._written = 0

    def add(self, read: int, cleaned: Cleaned) -> None:
        self._read += read
        self._written += len(cleaned.points)
        for action in cleaned.actions:
            self._steps[action.kind.value, _PLACE.sub("[]", action.field)] += 1
            if self._as_json:
                self._tell(action)

    def end(self) -> None:
        if self._as_json:
            say(f'{{"read":{self._read},"written":{self._written}}}')
            return
        say(f"otel-benchmark: {self._written} of {self._read} records are left")
        for (kind, field), times in sorted(self._steps.items()):
            say(f"  {kind} {times} times for {field}")

    @staticmethod
    def _tell(action: Action) -> None:
        import msgspec

        say(msgspec.json.encode(action._asdict()).decode())


def _clean(options: argparse.Namespace) -> int:
    from collector_processor.app.commands import access
    from collector_processor.model.record import encode_point

    settings = load_settings(options)
    summary = _Summary(as_json=options.json)
    with access.opened(settings) as url, _opened(options.output) as stream:

        def take(read: int, cleaned: Cleaned) -> None:
            stream.writelines(encode_point(point) + b"\n" for point in cleaned.points)
            summary.add(read, cleaned)

        access.clean_records(
            url,
            access.CleanSettings(frozenset(settings.task_types), options.keep_outliers),
            take,
            since=options.since,
            task_type=options.task_type,
        )
        stream.flush()
    summary.end()
    return 0


@contextmanager
def _opened(file: Path | None) -> Iterator[IO[bytes]]:
    """Open standard output, or a file that takes its name when all of it is written."""
    if file is None:
        yield sys.stdout.buffer
        return
    part = file.with_name(file.name + ".part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
            yield stream
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
