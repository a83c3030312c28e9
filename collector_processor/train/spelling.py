"""One spelling for what means the same: values of lists, and names of tools."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

from collector_processor.model.record import ToolUse
from otel_benchmark.attributes import Strategy

_T = TypeVar("_T", str, str | None)

_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_GAP: Final = re.compile(r"_?[\s-]+_?")
_MOVES: Final = {"-explore": True, "-exploit": False}


def as_listed(value: str | None, listed: Iterable[str]) -> str | None:
    """Return the listed value that differs in case, blanks, hyphens or underscores alone; else what was given."""
    if value is None:
        return None
    known = {_key(each): str(each) for each in listed}
    return known.get(_key(value), value)


def bandit_move(strategy: str | None) -> tuple[str | None, bool | None]:
    """Part a strategy from the move that some routers append, however it is spelt: `multi_armed_bandit_explore`."""
    if strategy is not None:
        key = _key(strategy)
        for suffix, explored in _MOVES.items():
            if key.endswith(suffix) and key.removesuffix(suffix) in {*Strategy}:
                return key.removesuffix(suffix), explored
    return strategy, None


def tool_name(name: _T) -> _T:
    """Return a tool's name in snake case: `readFile`, `Read File` and `read-file` → `read_file`.

    What parts a name from its server stays: `mcp__git__status`, `files.read`.
    """
    if name is None:
        return None
    words = _HUMP.sub("_", unicodedata.normalize("NFKC", name).strip())
    return unicodedata.normalize("NFKC", _GAP.sub("_", words).lower())


def united(tools: Sequence[ToolUse]) -> tuple[ToolUse, ...]:
    """Return the use of tools by normalised name; one tool is one entry, whose rates are weighted by calls."""
    by_name: dict[str, list[ToolUse]] = {}
    for use in tools:
        by_name.setdefault(tool_name(use.tool_name), []).append(use)
    return tuple(_sum(name, uses) for name, uses in sorted(by_name.items()))


def _sum(name: str, uses: Sequence[ToolUse]) -> ToolUse:
    if len(uses) == 1:
        (use,) = uses
        return ToolUse(name, use.call_count, use.success_rate, use.effective_rate, use.avg_latency_ms)
    calls = sum(use.call_count for use in uses)
    return ToolUse(
        name,
        calls,
        _rate([(use.success_rate, use.call_count) for use in uses]),
        _rate([(use.effective_rate, use.call_count) for use in uses]),
        sum(use.avg_latency_ms * use.call_count for use in uses) / calls,
    )


def _rate(rates: Iterable[tuple[float | None, int]]) -> float | None:
    known = [(rate, calls) for rate, calls in rates if rate is not None]
    return sum(rate * calls for rate, calls in known) / sum(calls for _, calls in known) if known else None


def _key(value: str) -> str:
    """Return the words of a value in lower case, with hyphens between: what spellings have in common."""
    return re.sub(r"[\s_-]+", "-", _HUMP.sub("-", value.strip())).lower()
