"""`database url`, `database migrate`, `database maintain`, `database check`."""

from __future__ import annotations

import argparse

from collector_processor.cli.commands import Commands
from collector_processor.cli.configuration import load_settings
from collector_processor.cli.output import add_formats, print_json, print_table, say


def add_to(commands: Commands) -> None:
    """Add the group `database`."""
    group = commands.group("database", "the PostgreSQL that holds the records")
    url = group.add("url", "the connection string for other tools, password included")
    url.set_defaults(run=_url)
    migrate = group.add("migrate", "bring the schema to this version's; `serve` does it by itself")
    add_formats(migrate)
    migrate.set_defaults(run=_migrate)
    maintain = group.add("maintain", "settle statistics and retire old records now; `serve` does it by itself")
    add_formats(maintain)
    maintain.set_defaults(run=_maintain)
    check = group.add("check", "which edition it is, and which features are in use")
    add_formats(check)
    check.set_defaults(run=_check)


def _url(options: argparse.Namespace) -> int:
    from collector_processor.app.commands import access

    settings = load_settings(options)
    url = access.running_url(settings)
    if url is None:
        say("otel-benchmark: the embedded server doesn't run: it does while `otel-benchmark serve` or `sql` does")
        return 1
    print(url)
    return 0


def _migrate(options: argparse.Namespace) -> int:
    from collector_processor.app.commands import access

    settings = load_settings(options)
    with access.opened(settings) as url:
        applied = access.migrate(url, settings)
    if options.json:
        print_json({"applied": applied})
    else:
        print("\n".join(f"applied {name}" for name in applied) or "nothing to do: the schema is this version's")
    return 0


def _maintain(options: argparse.Namespace) -> int:
    from collector_processor.app.commands import access

    settings = load_settings(options)
    with access.opened(settings) as url:
        hours, retired = access.maintain(url, settings)
    if options.json:
        print_json({"settled_hours": hours, **retired._asdict()})
    else:
        print(f"settled {hours} hours of statistics")
        print(f"retired {retired.records} records, and {retired.spans_waiting} spans that never found one")
    return 0


def _check(options: argparse.Namespace) -> int:
    from collector_processor.app.commands import access

    with access.opened(load_settings(options)) as url:
        found = access.check(url)
    if options.json:
        print_json(found._asdict())
        return 1 if found.missing else 0
    rows = [
        ("tier", found.tier),
        ("server", found.server_version),
        ("extensions", ", ".join(f"{name} {version}" for name, version in found.extensions.items()) or "none"),
        ("schema", f"version {found.schema_version} of {found.known_version}"),
        ("compression of large values", found.compression),
        *found.in_use.items(),
        *(("missing", words) for words in found.missing),
        *([("a higher tier has", found.beyond)] if found.beyond else []),
    ]
    print_table(("what", "found"), rows)
    return 1 if found.missing else 0
