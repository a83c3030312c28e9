"""`fallback`: what waits in files for a database that is down, and its way back."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from collector_processor.cli.commands import Commands
from collector_processor.cli.configuration import load_settings
from collector_processor.cli.output import add_formats, print_json, print_table, say

if TYPE_CHECKING:
    from collector_processor.app.storing.fallback_books import Figures


def add_to(commands: Commands) -> None:
    """Add the group `fallback`."""
    group = commands.group("fallback", "files with facts that wait for a database which is away")
    status = group.add("status", "what lies there")
    add_formats(status)
    status.set_defaults(run=_status)

    importing = group.add("import", "store them now, and come back when nothing is left or the database is away still")
    add_formats(importing)
    importing.set_defaults(run=_import)


def _status(options: argparse.Namespace) -> int:
    from collector_processor.app.commands.importing import figures_of

    _print(figures_of(load_settings(options)), options)
    return 0


def _import(options: argparse.Namespace) -> int:
    from collector_processor.app.commands.importing import import_all

    left = import_all(load_settings(options), say)
    _print(left, options)
    return 1 if left.batches else 0


def _print(figures: Figures, options: argparse.Namespace) -> None:
    shown = figures._asdict()
    if options.json:
        print_json(shown)
    else:
        print_table(("fallback", shown.pop("folder")), list(shown.items()))
