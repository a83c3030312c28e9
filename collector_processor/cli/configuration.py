"""`config show` and `config check`; and the settings of every other command."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from collector_processor.cli.commands import Commands
from collector_processor.cli.output import add_formats, print_json, print_table
from collector_processor.errors import ConfigError

if TYPE_CHECKING:  # only commands of the processor may need what the plain plugin doesn't install
    from collector_processor.config import Loaded, Settings


def add_to(commands: Commands) -> None:
    """Add the group `config`."""
    group = commands.group("config", "the processor's settings")
    show = group.add("show", "every setting, its value and where it comes from; secrets are masked")
    add_formats(show)
    show.set_defaults(run=_show)
    check = group.add("check", "whether `serve` would take the settings")
    check.set_defaults(run=_check)


def load_settings(options: argparse.Namespace) -> Settings:
    """The settings of a short-lived command, whose logs are warnings and errors only. Raises ConfigError."""
    import dataclasses

    from collector_processor import telemetry

    settings = _load(options).settings
    quiet = settings.log_level if settings.log_level == "debug" else "warning"
    telemetry.configure(dataclasses.replace(settings, log_level=quiet))
    return settings


def _load(options: argparse.Namespace) -> Loaded:
    from collector_processor.config import load

    return load(os.environ, options.config)


def _show(options: argparse.Namespace) -> int:
    from collector_processor.config import describe

    rows = describe(_load(options))
    if options.json:
        print_json([row._asdict() for row in rows])
    else:
        print_table(("setting", "value", "from"), [(row.variable, row.value, row.origin) for row in rows])
    return 0


def _check(options: argparse.Namespace) -> int:
    from collector_processor.app.listeners import access_of
    from collector_processor.app.policies import document_of

    try:
        settings = _load(options).settings
        access_of(settings)
        document_of(settings)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    print("all settings are good")
    return 0
