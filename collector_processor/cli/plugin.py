"""`plugin check`: what the plugin would do in an application, before it goes live. Needs the plain install only."""

from __future__ import annotations

import argparse
from pathlib import Path

from collector_processor.cli.commands import Commands
from collector_processor.cli.output import add_formats


def add_to(commands: Commands) -> None:
    """Add the group `plugin`."""
    group = commands.group("plugin", "the OpenTelemetry plugin in an application")
    check = group.add("check", "what OTEL_BENCHMARK_* would wrap, and which fields of the record it would fill")
    check.add_argument(
        "--sample", type=Path, metavar="FILE", help="a JSON file of objects like the application's, to be read as its"
    )
    add_formats(check)
    check.set_defaults(run=_check)


def _check(options: argparse.Namespace) -> int:
    from otel_benchmark.check import main

    return main(sample=options.sample, as_json=options.json)
