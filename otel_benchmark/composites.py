"""Lists of objects in a host's result: candidates → parallel arrays, gates and turns → span events.

Each takes what the extraction set aside under the list's own key and returns attributes; entries are read by the
common names of `ITEM_FIELDS` or by the mapping's `gates.passed` and the like.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from otel_benchmark import attributes as a
from otel_benchmark.values import LIST_ITEMS, flag, identifier, number
from otel_benchmark.vocabulary import CANDIDATES, GATES, ITEM_FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otel_benchmark.extract import Attributes

_ARRAYS: Final = tuple(field.attribute for field in ITEM_FIELDS[CANDIDATES])
_GATE_VALUES: Final = tuple(field.attribute for field in ITEM_FIELDS[GATES] if field.key != "name")


def entries(
    items: Any, read: Callable[[Any, Attributes], None], key_attribute: str | None
) -> Iterator[tuple[Attributes, Any]]:
    """Yield the attributes of each entry and the entry; of a mapping, the key is the entry's name or id."""
    if isinstance(items, dict):
        for key, value in islice(items.items(), LIST_ITEMS):
            entry: Attributes = {}
            read(value, entry)
            if key_attribute is not None and (name := identifier(key)) is not None:
                entry[key_attribute] = name
            yield entry, value
    else:
        for value in islice(items, LIST_ITEMS):
            entry = {}
            read(value, entry)
            yield entry, value


def candidates(items: Any, read: Callable[[Any, Attributes], None]) -> Attributes:
    """Return the parallel arrays of the candidates; None holds the place of what a candidate doesn't have.

    Entries without an id are left out. An entry may be an object, a mapping, an id alone, a pair of agent and
    score; the whole may be a mapping of id → score or id → object.
    """
    rows: list[Attributes] = []
    for entry, value in entries(items, read, a.ROUTING_CANDIDATE_IDS):
        if isinstance(value, tuple) and len(value) == 2 and not hasattr(value, "_fields"):
            read(value[0], entry)
            _set(entry, a.ROUTING_CANDIDATE_SCORES, number(value[1]))
        else:
            _set(entry, a.ROUTING_CANDIDATE_SCORES, number(value))
        if a.ROUTING_CANDIDATE_IDS in entry:
            rows.append(entry)
    return arrays(rows)


def arrays(rows: list[Attributes]) -> Attributes:
    """Return parallel arrays of the columns that any row has."""
    return {name: [row.get(name) for row in rows] for name in _ARRAYS if any(name in row for row in rows)}


def include_selected(out: Attributes) -> None:
    """Put the selected agent among the candidates, where the host lists only the alternatives to it."""
    ids, selected = out.get(a.ROUTING_CANDIDATE_IDS), out.get(a.ROUTING_SELECTED_ID)
    if not ids or selected is None or selected in ids:
        return
    size = len(ids)
    for name in _ARRAYS:
        column = out.get(name)
        if column is not None and len(column) == size:
            value = {a.ROUTING_CANDIDATE_IDS: selected, a.ROUTING_CANDIDATE_PROPENSITIES: out.get(a.ROUTING_PROPENSITY)}
            out[name] = [*column, value.get(name)]


def gates(items: Any, read: Callable[[Any, Attributes], None]) -> list[Attributes]:
    """Return one `gen_ai.evaluation.result` event's attributes for each gate or criterion.

    An entry may be an object or a mapping; the whole may be a mapping of name → passed, score, or object. Entries
    without a name, or that say nothing, are left out.
    """
    events: list[Attributes] = []
    for entry, value in entries(items, read, a.GEN_AI_EVALUATION_NAME):
        if (passed := flag(value)) is not None:
            _set(entry, a.GATE_PASSED, passed)
        else:
            _set(entry, a.GEN_AI_EVALUATION_SCORE_VALUE, number(value))
        if a.GEN_AI_EVALUATION_NAME in entry and any(name in entry for name in _GATE_VALUES):
            events.append(entry)
    return events


def turns(items: Any, read: Callable[[Any, Attributes], None], *, tools_are_numbered: bool) -> list[Attributes]:
    """Return one `arbiter.turn` event's attributes for each turn that the tool spans don't tell.

    A turn that called a tool is told by the tool's span. It becomes an event only where those spans carry turn
    numbers, which join the two; otherwise it would be counted twice.
    """
    events: list[Attributes] = []
    for entry, _ in entries(items, read, None):
        tool = entry.pop(a.GEN_AI_TOOL_NAME, None)
        if entry and (tool is None or (tools_are_numbered and a.TURN_NUMBER in entry)):
            events.append(entry)
    return events


def _set(entry: Attributes, name: str, value: Any) -> None:
    if value is not None:
        entry.setdefault(name, value)
