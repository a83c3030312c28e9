"""How results look: a table for people, JSON or CSV for programs."""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

_WIDEST: Final = 60
"""Characters of a cell on a terminal; what goes to a file or a pipe is never cut."""


def add_formats(parser: argparse.ArgumentParser, *, with_csv: bool = False) -> None:
    """Give a command `--json`, and `--csv` where rows are all it has."""
    formats = parser.add_mutually_exclusive_group()
    formats.add_argument("--json", action="store_true", help="print JSON")
    if with_csv:
        formats.add_argument("--csv", action="store_true", help="print CSV with a header")


def print_json(value: Any) -> None:
    """Print a value as JSON: times as RFC 3339, bytes as hex, what JSON has no number for as null."""
    json.dump(_plain(value), sys.stdout, indent=2, ensure_ascii=False, allow_nan=False)
    sys.stdout.write("\n")


def print_rows(columns: Sequence[str], rows: Iterable[Sequence[Any]], options: argparse.Namespace) -> None:
    """Print rows in the format that the options ask for."""
    if options.json:
        names = _unique(columns)
        print_json([dict(zip(names, row, strict=True)) for row in rows])
    elif getattr(options, "csv", False):
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_text(value) for value in row] for row in rows)
    else:
        print_table(columns, rows)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, whole: bool = False) -> None:
    """Print an aligned table, columns of numbers to the right; `whole` cuts no cell on a terminal either."""
    widest = _WIDEST if sys.stdout.isatty() and not whole else None
    listed = [tuple(row) for row in rows]
    cells = [[_cell(_text(value), widest) for value in row] for row in listed]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    numeric = [any(isinstance(row[index], int | float | Decimal) for row in listed) for index in range(len(columns))]
    for line in (columns, ["-" * width for width in widths], *cells):
        aligned = (
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, numeric, strict=True)
        )
        print("  ".join(aligned).rstrip())


def say(words: str) -> None:
    """Tell a person something beside the result."""
    print(words, file=sys.stderr)


def _unique(columns: Sequence[str]) -> list[str]:
    names: list[str] = []
    for column in columns:
        name, number = column, 1
        while name in names:
            number += 1
            name = f"{column}_{number}"
        names.append(name)
    return names


def _plain(value: Any) -> Any:
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if abs(value) < float("inf") else None
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(item) for item in value]
    return _scalar(value)


def _scalar(value: Any) -> str:
    match value:
        case dt.datetime() | dt.date() | dt.time():
            return value.isoformat().replace("+00:00", "Z")
        case bytes() | bytearray() | memoryview():
            return bytes(value).hex()
    return str(value)


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:.6g}" if sys.stdout.isatty() else repr(value)
        case Mapping() | list() | tuple() | set():
            return json.dumps(_plain(value), ensure_ascii=False)
    return _scalar(value)


def _cell(text: str, widest: int | None) -> str:
    # What applications sent is shown to a terminal: nothing in it may move the cursor.
    shown = "".join(letter if letter.isprintable() else " " if letter.isspace() else "�" for letter in text)
    return shown if widest is None or len(shown) <= widest else shown[: widest - 1] + "…"
