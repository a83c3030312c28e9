"""What the demonstration shows at the end: asked from the SQL views, laid out for a terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import psycopg
from psycopg.rows import dict_row

from collector_processor.model.record import BenchmarkDataPoint
from otel_benchmark.attributes import POINT_ID

WIDTH = 120

ROUTING = """
SELECT agent_id AS agent,
       count(*) AS decisions,
       count(*) FILTER (WHERE explored) AS explored,
       avg(propensity) AS "mean propensity",
       avg(confidence) AS "mean confidence",
       count(*) FILTER (WHERE strategy = 'fallback') AS fallbacks
FROM benchmark.routing_decisions
WHERE timestamp >= %(since)s
GROUP BY agent_id
ORDER BY decisions DESC
"""
AGENTS = """
SELECT agent_id AS agent,
       sum(total_tasks)::bigint AS tasks,
       sum(successful_tasks)::float8 / nullif(sum(total_tasks), 0) AS "success rate",
       sum(avg_quality * total_tasks) / nullif(sum(total_tasks) FILTER (WHERE avg_quality IS NOT NULL), 0)
           AS "mean quality",
       sum(avg_latency_ms * total_tasks) / sum(total_tasks) FILTER (WHERE avg_latency_ms IS NOT NULL) AS "mean ms",
       sum(total_cost_usd) AS "cost USD"
FROM benchmark.agent_statistics
WHERE bucket >= date_trunc('hour', %(since)s::timestamptz)
GROUP BY agent_id
ORDER BY tasks DESC
"""
SAMPLES = """
SELECT facet,
       count(*) AS samples,
       count(*) FILTER (WHERE status = 'complete') AS complete,
       count(*) FILTER (WHERE status = 'partial') AS partial,
       count(*) FILTER (WHERE status = 'empty') AS empty,
       avg(bytes)::float8 AS "mean bytes",
       sum(1 / inclusion_probability) AS "stand for tasks"
FROM benchmark.deep_samples
WHERE timestamp >= %(since)s
GROUP BY facet
ORDER BY facet
"""
COUNTS = """
SELECT count(*) AS stored,
       count(*) FILTER (WHERE valid) AS valid,
       count(*) FILTER (WHERE rl_ready) AS rl_ready,
       count(*) FILTER (WHERE state = 'quarantined') AS quarantined,
       avg((record #>> '{provenance,overheadMs}')::float8) AS overhead_ms,
       max((record #>> '{provenance,overheadMs}')::float8) AS worst_overhead_ms
FROM benchmark.data_points
WHERE timestamp >= %(since)s
"""
RECORD = """
SELECT record
FROM benchmark.data_points
WHERE timestamp >= %(since)s
ORDER BY rl_ready DESC, task_type <> 'code-editing', tokens_used IS NULL, tool_call_count < 5, NOT success,
         length(record::text)
LIMIT 1
"""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Findings:
    """What the views say about the tasks since the demonstration began."""

    counts: Row
    routing: Sequence[Row]
    agents: Sequence[Row]
    samples: Sequence[Row]
    record: Row | None


def stored_since(url: str, since: datetime) -> int:
    """Count the data points of tasks that began since then; none before the database has its views."""
    query = "SELECT count(*) FROM benchmark.data_points WHERE timestamp >= %s"
    try:
        with psycopg.connect(url) as connection:
            row = connection.execute(query, (since,)).fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return 0
    assert row is not None
    return int(row[0])


def find(url: str, since: datetime) -> Findings:
    """Ask the views."""
    parameters = {"since": since}
    with psycopg.connect(url, row_factory=dict_row) as connection:
        counts = connection.execute(COUNTS, parameters).fetchone()
        record = connection.execute(RECORD, parameters).fetchone()
        assert counts is not None
        return Findings(
            counts=counts,
            routing=connection.execute(ROUTING, parameters).fetchall(),
            agents=connection.execute(AGENTS, parameters).fetchall(),
            samples=connection.execute(SAMPLES, parameters).fetchall(),
            record=shown(record["record"]) if record else None,
        )


def shown(record: Row) -> Row:
    """A record with its keys in their own order (jsonb sorts them) and its facts counted instead of told."""
    sections: dict[str, Any] = msgspec.to_builtins(msgspec.convert(record, BenchmarkDataPoint))
    facts = sections["facts"]
    sections["facts"] = {name: len(entries) for name, entries in facts.items() if isinstance(entries, (list, tuple))}
    return sections


def render(findings: Findings, bare: Row, recorded: Row, *, access: Sequence[str], forwarded: Row | None = None) -> str:
    """Lay out the report.

    Args:
        findings: what the views say.
        bare: the arbiter's own summary of its run without instrumentation.
        recorded: the same with it.
        access: commands to try next, one a line.
        forwarded: `forward` of the processor's status, where it forwards.
    """
    counts = findings.counts
    sections = [
        ("One record: benchmark.data_points, column record (its facts only counted)", compact_json(findings.record)),
        ("Tasks", tasks(counts, recorded)),
        ("Who was chosen: benchmark.routing_decisions", table(findings.routing)),
        ("How they did this hour: benchmark.agent_statistics", table(findings.agents)),
        ("Looked at deeply: benchmark.deep_samples", table(findings.samples)),
        ("What recording cost", costs(counts, bare, recorded)),
        *([("Traces", traces(forwarded, findings.record))] if forwarded else []),
        ("Next", "\n".join(access)),
    ]
    return "\n".join(f"\n{title}\n{'═' * len(title)}\n{body}" for title, body in sections)


def tasks(counts: Row, recorded: Row) -> str:
    """What was sent against what was stored, and how it ended."""
    endings = ", ".join(f"{recorded[ending]} {ending}" for ending in ("succeeded", "partial", "failed", "raised"))
    return facts(
        {
            "sent": f"{recorded['tasks'] + recorded['subtasks']}, {recorded['subtasks']} of them sub-tasks",
            "stored": f"{counts['stored']} data points",
            "of these": f"{counts['valid']} valid, {counts['rl_ready']} ready for training, "
            f"{counts['quarantined']} quarantined",
            "to the arbiter": f"{endings}, sub-tasks not counted",
        }
    )


def traces(forwarded: Row, record: Row | None) -> str:
    """What was forwarded, and where the record that is shown is found among it."""
    dropped = sum(forwarded["dropped"].values())
    lines = {
        "forwarded": f"{forwarded['sent']} spans to {forwarded['endpoint']}" + (f", {dropped} lost" if dropped else "")
    }
    if record is not None:
        lines["of the record above"] = f"trace {record['provenance']['traceId']}, each span with its {POINT_ID}"
        lines["and back"] = f"otel-benchmark sql \"SELECT * FROM data_points WHERE id = '{record['id']}'\""  # noqa: S608  # for people
    return facts(lines)


def costs(counts: Row, bare: Row, recorded: Row) -> str:
    """What the same work took without and with recording."""
    without, with_it = bare["cpu_ms_per_task"], recorded["cpu_ms_per_task"]
    lines = {
        "processor time a task": f"{without:.2f} ms without recording, {with_it:.2f} ms with it and its export: "
        f"{with_it - without:+.2f} ms",
        "the whole run": f"{bare['wall_s']:.1f} s without, {recorded['wall_s']:.1f} s with it",
    }
    if counts["overhead_ms"] is not None:
        lines["added inside a task"] = (
            f"{counts['overhead_ms']:.2f} ms on average, {counts['worst_overhead_ms']:.2f} ms at worst, "
            "by the plugin's own clock (promised: below 50 ms)"
        )
    return facts(lines)


def facts(lines: Mapping[str, str]) -> str:
    """Lay out named facts, one a line."""
    width = max(map(len, lines))
    return "\n".join(f"{name.ljust(width)}  {text}" for name, text in lines.items())


def table(rows: Sequence[Row]) -> str:
    """Lay out rows below their column names, numbers to the right."""
    if not rows:
        return "(no rows)"
    names = list(rows[0])
    cells = [[_cell(row[name]) for name in names] for row in rows]
    widths = [max(len(line[place]) for line in [names, *cells]) for place in range(len(names))]
    right = [all(not isinstance(row[name], str) for row in rows) for name in names]
    lines = [names, ["─" * width for width in widths], *cells]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    )


def compact_json(value: object, indent: str = "", taken: int = 0, room: int = WIDTH) -> str:
    """Return JSON that breaks a line only where a list or an object doesn't fit.

    `taken` is what stands before the value on its line, beside the indent.
    """
    line = json.dumps(value, ensure_ascii=False)
    if len(indent) + taken + len(line) <= room or not isinstance(value, (dict, list, tuple)) or not value:
        return line
    deeper = indent + "  "
    if isinstance(value, dict):
        names = [json.dumps(key, ensure_ascii=False) + ": " for key in value]
        items = list(value.values())
        opening, closing = "{", "}"
    else:
        names = [""] * len(value)
        items = list(value)
        opening, closing = "[", "]"
    parts = (
        deeper + name + compact_json(item, deeper, len(name), room) for name, item in zip(names, items, strict=True)
    )
    return opening + "\n" + ",\n".join(parts) + "\n" + indent + closing


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
    return str(value)
