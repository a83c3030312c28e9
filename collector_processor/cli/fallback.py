"""`fallback`: what waits in files for a database that is down, and its way back."""

from __future__ import annotations

import argparse
import time
from typing import Any, Final

from collector_processor.cli.commands import Commands
from collector_processor.cli.configuration import load_settings
from collector_processor.cli.output import add_formats, print_json, print_table, say

_LOOK_SECONDS: Final = 0.5


def add_to(commands: Commands) -> None:
    """Add the group `fallback`."""
    group = commands.group("fallback", "files with facts that wait for a database which is away")
    status = group.add("status", "what lies there")
    add_formats(status)
    status.set_defaults(run=_status)

    importing = group.add("import", "have the running processor store them now, and wait for it")
    add_formats(importing)
    importing.set_defaults(run=_import)


def _status(options: argparse.Namespace) -> int:
    from collector_processor.app.control import ask

    _print(ask(load_settings(options).data_dir, "fallback"), options)
    return 0


def _import(options: argparse.Namespace) -> int:
    """Come back when nothing is left, or as soon as the database is found to be away still."""
    from collector_processor.app.control import ask

    data_dir = load_settings(options).data_dir
    began = figures = ask(data_dir, "import_fallback")
    while figures["batches"]:
        time.sleep(_LOOK_SECONDS)
        before, figures = figures["batches"], ask(data_dir, "fallback")
        if figures["batches"] != before:
            say(f"imported {figures['imported'] - began['imported']} of {began['batches']} batches")
        elif problem := figures["problem"] or ask(data_dir, "outage"):
            say(f"otel-benchmark: {figures['batches']} batches wait still: {problem}")
            break
    _print(figures, options)
    return 1 if figures["batches"] else 0


def _print(figures: dict[str, Any], options: argparse.Namespace) -> None:
    if options.json:
        print_json(figures)
    else:
        print_table(("fallback", figures["folder"]), [(name, figures[name]) for name in figures if name != "folder"])
