"""`schema record` and `schema spans`: what comes out, and what has to go in."""

from __future__ import annotations

import argparse

from collector_processor.cli.commands import Commands
from collector_processor.cli.output import add_formats, print_json


def add_to(commands: Commands) -> None:
    """Add `schema`."""
    parser = commands.add("schema", "the JSON Schema of the record, or the span contract for emitters in any language")
    parser.add_argument("what", choices=("record", "spans"), nargs="?", default="record", help="default: %(default)s")
    add_formats(parser)
    parser.set_defaults(run=_schema)


def _schema(options: argparse.Namespace) -> int:
    if options.what == "record":
        from collector_processor.model.schema import record_schema

        print_json(record_schema())
        return 0
    from otel_benchmark.contract import CONTRACT, as_json, as_markdown

    if options.json:
        print_json(as_json(CONTRACT))
    else:
        print(as_markdown(CONTRACT), end="")
    return 0
