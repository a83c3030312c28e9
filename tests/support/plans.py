"""What PostgreSQL means to do for a query: the plan's nodes, and the chunks that it touches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import psycopg
from psycopg.rows import tuple_row

Node = Mapping[str, Any]


def executed(connection: psycopg.Connection[Any], query: str, parameters: Mapping[str, object]) -> list[Node]:
    """Run a query and return the nodes of its plan that were run at least once, from top to bottom."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        found = cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}".encode(), parameters).fetchone()
    assert found is not None
    [plan] = found[0]
    return [node for node in _nodes(plan["Plan"]) if node["Actual Loops"]]


def tables(nodes: Sequence[Node]) -> set[str]:
    """Tables and chunks that were read."""
    return {node["Relation Name"] for node in nodes if "Relation Name" in node}


def giving(nodes: Sequence[Node]) -> set[str]:
    """Those of them that gave a row."""
    return {node["Relation Name"] for node in nodes if "Relation Name" in node and node["Actual Rows"]}


def indexes(nodes: Sequence[Node]) -> set[str]:
    """Indexes that were used."""
    return {node["Index Name"] for node in nodes if "Index Name" in node}


def scanned_whole(nodes: Sequence[Node]) -> set[str]:
    """Those of them that were read from end to end."""
    return {node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"}


def _nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)
