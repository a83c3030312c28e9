"""`sampling`: which tasks are analysed deeply, and which would have been by other policies."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from collector_processor.cli.commands import Commands, moment
from collector_processor.cli.configuration import load_settings
from collector_processor.cli.output import add_formats, print_json, print_table, say

if TYPE_CHECKING:
    from collector_processor.app.commands.sampling import Policy, Simulated, Simulation
    from collector_processor.app.policies import Document


_STRATUM: Final = ("agent_id", "task_type", "outcome")
_RULES: Final = {"Fixed": "probability", "Rate": "rate", "EachStratum": "each stratum"}


def add_to(commands: Commands) -> None:
    """Add the group `sampling`."""
    group = commands.group("sampling", "which tasks are analysed deeply")
    show = group.add("show", "the policies in force, as a document to be copied and changed")
    add_formats(show)
    show.set_defaults(run=_show)

    simulate = group.add(
        "simulate", "what policies would have kept of the records that are stored, and at what cost", configured=False
    )
    simulate.add_argument(
        "--config", dest="policies", type=Path, metavar="FILE", help="policies (TOML); default: those in force"
    )
    simulate.add_argument(
        "--last", type=moment, default="7d", metavar="AGE", help="records since: 7d, 12h, or a time; default: 7d"
    )
    add_formats(simulate)
    simulate.set_defaults(run=_simulate)


def _show(options: argparse.Namespace) -> int:
    from collector_processor.app.policies import document_of

    document = document_of(load_settings(options))
    if options.json:
        print_json(_plain(document))
    else:
        print(document.text, end="")
    return 0


def _plain(document: Document) -> dict[str, Any]:
    config = document.config
    return {
        "document": document.name,
        "seed": config.seed,
        "window_minutes": config.window / 60e9,
        "policies": [_plain_policy(policy) for policy in config.policies],
        "caps": config.caps,
        "costs": {facet: {"bytes": cost.bytes, "calls": cost.calls} for facet, cost in config.costs.items()},
    }


def _plain_policy(policy: Policy) -> dict[str, Any]:
    rule = _RULES[type(policy.rule).__name__]
    return {"facet": policy.facet, "name": policy.name, "rule": rule, **policy.rule._asdict(), "when": policy.when}


def _simulate(options: argparse.Namespace) -> int:
    from collector_processor.app.commands import sampling
    from collector_processor.app.policies import document_of

    settings = load_settings(options)
    document = document_of(settings, options.policies)
    simulation = sampling.simulate(settings, document.config, since=options.last)
    if options.json:
        rows = [_plain_row(row) for row in simulation.rows()]
        whole = {key: value for key, value in _plain_row(simulation.whole()).items() if key not in _STRATUM}
        print_json(
            {"policies": document.name, "since": options.last, "until": datetime.now(UTC), "strata": rows, "all": whole}
        )
    else:
        _print(document, simulation)
    return 0


def _plain_row(row: Simulated) -> dict[str, Any]:
    return {
        **dict(zip(_STRATUM, row.names, strict=True)),
        "tasks": row.tasks,
        "touched": row.touched,
        "facets": {
            facet: {
                "kept": row.kept.get(facet, 0),
                "expected": round(row.expected[facet], 3),
                "shed": row.shed.get(facet, 0),
                "kept_when_stored": row.stored.get(facet, 0),
            }
            for facet in row.expected
        },
        "bytes": row.bytes,
        "calls": row.calls,
    }


def _print(document: Document, simulation: Simulation) -> None:
    """A row a stratum, and one of all: samples that would be kept, their megabytes, and calls of a model."""
    whole = simulation.whole()
    facets = [*whole.expected]
    columns = (*_STRATUM, "tasks", "touched", *facets, "MB", "calls")

    def told(row: Simulated) -> tuple[Any, ...]:
        kept = (row.kept.get(facet, 0) for facet in facets)
        return (*row.names, row.tasks, row.touched, *kept, round(row.bytes / 1e6, 3), row.calls)

    print_table(columns, [*map(told, simulation.rows()), ("all", *told(whole)[1:])])
    if shed := sum(whole.shed.values()):
        say(f"otel-benchmark: {shed} of these would be shed by the hard cap")
    say(f"otel-benchmark: decided by {document.name}; rates, strata and first tasks begin with nothing known")
