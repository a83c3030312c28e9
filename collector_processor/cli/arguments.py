"""The grammar of the command: what can be said, and which function does it."""

from __future__ import annotations

import argparse
import importlib.metadata
from pathlib import Path

from collector_processor.cli import (
    clean,
    configuration,
    database,
    dead_letter,
    erase,
    fallback,
    journal,
    plugin,
    privacy,
    quarantine,
    sampling,
    schema,
    service,
    sql,
)
from collector_processor.cli.commands import Commands


def build_parser() -> argparse.ArgumentParser:
    """The whole grammar. Every command sets `run`, a function from the parsed options to an exit code."""
    parser = argparse.ArgumentParser(
        prog="otel-benchmark",
        description="Turn every task of an agent orchestrator into benchmark data for reinforcement learning.",
        parents=[_common()],
    )
    parser.set_defaults(config=None, debug=False)
    version = importlib.metadata.version("otel-benchmark")
    parser.add_argument("--version", action="version", version=f"%(prog)s {version}")
    commands = Commands(parser, _debug(), _common())
    data = (quarantine, dead_letter, fallback, journal, clean, sampling, privacy, erase)
    for group in (service, plugin, configuration, schema, sql, database, *data):
        group.add_to(commands)
    return parser


def _common() -> argparse.ArgumentParser:
    """The options that stand before or behind a command.

    Made anew for the whole and for its commands: argparse shares the actions of a parent, so that a default set on the
    whole would be a command's too and undo what was said before it.
    """
    common = argparse.ArgumentParser(parents=[_debug()], add_help=False, argument_default=argparse.SUPPRESS)
    common.add_argument("--config", type=Path, metavar="FILE", help="a TOML file with settings; the environment wins")
    return common


def _debug() -> argparse.ArgumentParser:
    """The option that every command has."""
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return common
