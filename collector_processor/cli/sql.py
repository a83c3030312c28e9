"""`sql`: one query as the read-only role, or psql."""

from __future__ import annotations

import argparse
import sys

from collector_processor.cli.commands import Commands
from collector_processor.cli.configuration import load_settings
from collector_processor.cli.output import add_formats, print_rows


def add_to(commands: Commands) -> None:
    """Add `sql`."""
    parser = commands.add("sql", "run a query on the views of schema benchmark, as the role that may only read")
    parser.add_argument("query", nargs="?", metavar="QUERY", help="`-` reads it from stdin; without one psql is opened")
    parser.add_argument("--timeout", type=float, default=60.0, metavar="SECONDS", help="default: %(default)g")
    add_formats(parser, with_csv=True)
    parser.set_defaults(run=_sql)


def _sql(options: argparse.Namespace) -> int:
    from collector_processor.app.commands import access

    settings = load_settings(options)
    with access.opened(settings) as url:
        if options.query is None:
            return access.open_psql(url)
        text = sys.stdin.read() if options.query == "-" else options.query
        answer = access.query(url, text, timeout_seconds=options.timeout)
    print_rows(answer.columns, answer.rows, options)
    return 0
