"""The commands of one level of the grammar: `otel-benchmark COMMAND`, `otel-benchmark database COMMAND`."""

from __future__ import annotations

import argparse


class Commands:
    """The commands of one level: each gets the common options."""

    def __init__(self, parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
        self._choices = parser.add_subparsers(metavar="COMMAND", required=True)
        self._common = common

    def add(self, name: str, help_text: str) -> argparse.ArgumentParser:
        """A command; give it a default `run`."""
        return self._choices.add_parser(
            name, help=help_text, description=help_text[0].upper() + help_text[1:] + ".", parents=[self._common]
        )

    def group(self, name: str, help_text: str) -> Commands:
        """A command that has commands of its own."""
        return Commands(self.add(name, help_text), self._common)


def positive(text: str) -> int:
    """A whole number above 0, as the type of an argument."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)
