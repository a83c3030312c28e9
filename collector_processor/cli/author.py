"""Who decides: named with `--author`, else the person who is logged in."""

from __future__ import annotations

import argparse
import getpass

from collector_processor.errors import BenchmarkError


def add_author(parser: argparse.ArgumentParser) -> None:
    """Give a command `--author`."""
    parser.add_argument("--author", default=None, help="who decides; default: the name you are logged in with")


def author_of(options: argparse.Namespace) -> str:
    """Who decides. Raises BenchmarkError where nobody can know."""
    if options.author is not None:
        return str(options.author)
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # an account without a name, as in many containers
        raise BenchmarkError("your account has no name here: say who decides with --author NAME") from None
