"""Lists of objects in a host's result: candidates → parallel arrays, gates and turns → span events.

Each takes what the extraction set aside under the list's own key and returns attributes; entries are read by the
common names of `ITEM_FIELDS` or by the mapping's `gates.passed` and the like.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from otel_benchmark import attributes as a
from otel_benchmark.values import LIST_ITEMS, flag, identifier, number
from otel_benchmark.vocabulary import CANDIDATES, ITEM_FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otel_benchmark.extract import Attributes

_ARRAYS: Final = tuple(field.attribute for field in ITEM_FIELDS[CANDIDATES])


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
        if a.ROUTING_CANDIDATE_SCORES not in entry:
            if type(value) is tuple and len(value) == 2:
                read(value[0], entry)
                _set(entry, a.ROUTING_CANDIDATE_SCORES, number(value[1]))
            else:
                _set(entry, a.ROUTING_CANDIDATE_SCORES, number(value))
        if a.ROUTING_CANDIDATE_IDS in entry:
            rows.append(entry)
    return arrays(rows)


def arrays(rows: list[Attributes]) -> Attributes:
    """Return parallel arrays of the columns that any row has."""
    columns = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in columns}


def settle(out: Attributes, inputs: Attributes) -> None:
    """Agree on one list of candidates: the outcome's, else the inputs', with the selected agent among them."""
    if a.ROUTING_CANDIDATE_IDS in out:
        for name in _ARRAYS:
            inputs.pop(name, None)
    ids = out.get(a.ROUTING_CANDIDATE_IDS) or inputs.get(a.ROUTING_CANDIDATE_IDS)
    selected = out.get(a.ROUTING_SELECTED_ID)
    if not ids or selected is None or selected in ids:
        return
    added = {a.ROUTING_CANDIDATE_IDS: selected, a.ROUTING_CANDIDATE_PROPENSITIES: out.get(a.ROUTING_PROPENSITY)}
    size = len(ids)
    for attributes in (out, inputs):
        for name in _ARRAYS:
            if len(attributes.get(name, ())) == size:
                attributes[name] = [*attributes[name], added.get(name)]


def gates(items: Any, read: Callable[[Any, Attributes], None]) -> Iterator[Attributes]:
    """Yield one `gen_ai.evaluation.result` event's attributes for each gate or criterion.

    An entry may be an object or a mapping; the whole may be a mapping of name → passed, score, or object. Entries
    without a name, or that say nothing else, are left out.
    """
    for entry, value in entries(items, read, a.GEN_AI_EVALUATION_NAME):
        if len(entry) <= 1:
            if (passed := flag(value)) is not None:
                entry[a.GATE_PASSED] = passed
            else:
                _set(entry, a.GEN_AI_EVALUATION_SCORE_VALUE, number(value))
        if len(entry) > 1 and a.GEN_AI_EVALUATION_NAME in entry:
            yield entry


def turns(items: Any, read: Callable[[Any, Attributes], None], *, tools_are_numbered: bool) -> Iterator[Attributes]:
    """Yield one `arbiter.turn` event's attributes for each turn that the tool spans don't tell.

    A turn that called a tool is told by the tool's span. It becomes an event only where those spans carry turn
    numbers, which join the two; otherwise it would be counted twice.
    """
    for entry, _ in entries(items, read, None):
        tool = entry.pop(a.GEN_AI_TOOL_NAME, None)
        if entry and (tool is None or (tools_are_numbered and a.TURN_NUMBER in entry)):
            yield entry


def _set(entry: Attributes, name: str, value: Any) -> None:
    if value is not None:
        entry.setdefault(name, value)
