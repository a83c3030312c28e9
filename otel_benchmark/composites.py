"""Lists of objects in a host's result: candidates → parallel arrays, gates and turns → span events.

Each takes what the extraction set aside under the list's own key and returns attributes; entries are read by the
common names of `ITEM_FIELDS` or by the mapping's `gates.passed` and the like.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from otel_benchmark import attributes as a
from otel_benchmark.values import LIST_ITEMS, flag, identifier, number
from otel_benchmark.vocabulary import CANDIDATES, ITEM_FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_benchmark.extract import Attributes

_Read: TypeAlias = "Callable[[Any, Attributes], None]"
_ARRAYS: Final = tuple(field.attribute for field in ITEM_FIELDS[CANDIDATES])


def entries(
    items: Any, read: _Read, key_attribute: str | None = None, read_scalar: _Read | None = None
) -> list[Attributes]:
    """Return the attributes of each entry.

    Of a mapping, the key is the entry's name or id, and a value that is no object is read by `read_scalar`.
    """
    found: list[Attributes] = []
    if isinstance(items, dict):
        for key, value in islice(items.items(), LIST_ITEMS):
            entry: Attributes = {}
            read(value, entry)
            if read_scalar is not None and isinstance(value, (bool, int, float)):
                read_scalar(value, entry)
            if key_attribute is not None and (name := identifier(key)) is not None:
                entry[key_attribute] = name
            found.append(entry)
    else:
        for value in items if len(items) <= LIST_ITEMS else islice(items, LIST_ITEMS):
            entry = {}
            read(value, entry)
            found.append(entry)
    return found


def candidates(items: Any, read: _Read) -> Attributes:
    """Return the parallel arrays of the candidates; None holds the place of what a candidate doesn't have.

    Entries without an id are left out. An entry may be an object, a mapping, an id alone, a pair of agent and
    score; the whole may be a mapping of id → score or id → object.
    """

    def read_pair(value: Any, entry: Attributes) -> None:
        if type(value) is tuple and len(value) == 2:
            read(value[0], entry)
            _read_score(value[1], entry)
        else:
            read(value, entry)

    pairs = isinstance(items, (list, tuple)) and bool(items) and type(items[0]) is tuple
    rows = entries(items, read_pair if pairs else read, a.ROUTING_CANDIDATE_IDS, _read_score)
    return arrays([row for row in rows if a.ROUTING_CANDIDATE_IDS in row])


def arrays(rows: list[Attributes]) -> Attributes:
    """Return parallel arrays of the columns that any row has."""
    columns: Attributes = {}
    for row in rows:
        columns.update(row)
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


def gates(items: Any, read: _Read) -> list[Attributes]:
    """Return one `gen_ai.evaluation.result` event's attributes for each gate or criterion.

    An entry may be an object or a mapping; the whole may be a mapping of name → passed, score, or object. Entries
    without a name, or that say nothing else, are left out.
    """
    rows = entries(items, read, a.GEN_AI_EVALUATION_NAME, _read_verdict)
    return [row for row in rows if len(row) > 1 and a.GEN_AI_EVALUATION_NAME in row]


def turns(items: Any, read: _Read, *, tools_are_numbered: bool) -> list[Attributes]:
    """Return one `arbiter.turn` event's attributes for each turn that the tool spans don't tell.

    A turn that called a tool is told by the tool's span. It becomes an event only where those spans carry turn
    numbers, which join the two; otherwise it would be counted twice.
    """
    rows = entries(items, read)
    tools = [row.pop(a.GEN_AI_TOOL_NAME, None) for row in rows]
    return [
        row
        for row, tool in zip(rows, tools, strict=True)
        if row and (tool is None or (tools_are_numbered and a.TURN_NUMBER in row))
    ]


def _read_score(value: Any, entry: Attributes) -> None:
    if (score := number(value)) is not None:
        entry[a.ROUTING_CANDIDATE_SCORES] = score


def _read_verdict(value: Any, entry: Attributes) -> None:
    if (passed := flag(value)) is not None:
        entry[a.GATE_PASSED] = passed
    elif (score := number(value)) is not None:
        entry[a.GEN_AI_EVALUATION_SCORE_VALUE] = score
