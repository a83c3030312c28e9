"""The commands of one level of the grammar: `otel-benchmark COMMAND`, `otel-benchmark database COMMAND`."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta


class Commands:
    """The commands of one level: each gets the options that every command has, and most the common ones."""

    def __init__(
        self, parser: argparse.ArgumentParser, every: argparse.ArgumentParser, common: argparse.ArgumentParser
    ) -> None:
        self._choices = parser.add_subparsers(metavar="COMMAND", required=True)
        self._every, self._common = every, common

    def add(self, name: str, help_text: str, *, configured: bool = True) -> argparse.ArgumentParser:
        """A command; give it a default `run`.

        One that is not `configured` has a `--config` of its own: the settings' file goes before the command.
        """
        return self._choices.add_parser(
            name,
            help=help_text,
            description=help_text[0].upper() + help_text[1:] + ".",
            parents=[self._common if configured else self._every],
        )

    def group(self, name: str, help_text: str) -> Commands:
        """A command that has commands of its own."""
        return Commands(self.add(name, help_text), self._every, self._common)


def moment(text: str) -> datetime:
    """A time, as the type of an argument: how long ago it was (`7d`), or as RFC 3339, in UTC unless it says else."""
    from collector_processor.config.values import duration

    try:
        return datetime.now(UTC) - timedelta(seconds=duration("0s", "36500d").read(text))
    except ValueError:
        pass
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a duration such as 7d nor a time such as 2026-11-22T12:00Z"
        ) from None
    return given if given.tzinfo else given.replace(tzinfo=UTC)


def positive(text: str) -> int:
    """A whole number above 0, as the type of an argument."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)
