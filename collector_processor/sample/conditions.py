"""Conditions of policies: a table that mirrors the record → a test of a point and of what was known before it.

All keys of a table have to hold. A list means one of its values; a table of bounds is for numbers, and `known` for
every field. A value that is missing meets nothing but `known = false`. Beside the record's own fields there are `gate`,
`tool`, `disagreement` and `first`, and `any`, `all` and `not` for what one table can't say.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from collector_processor.model.record import BenchmarkDataPoint, GateName
from collector_processor.model.sampling import MAX_SEEN, SamplingState
from collector_processor.sample.draw import agent_of, tools_of
from collector_processor.sample.fields import FIELDS, Field, Kind

Table = Mapping[str, Any]
Condition = Callable[[BenchmarkDataPoint, SamplingState], bool]
_Test = Callable[[Any], bool]

MAX_FIRST: Final = 1_000_000

_BOUNDS: Final = ("above", "below", "near", "within", "known")
_NAMES: Final = ("agent", "tool")
_NUMBERS: Final = Field((), Kind.NUMBER)
_TOOLS: Final = Field((), Kind.TEXTS)
_GATES: Final = Field((), Kind.TEXTS, tuple(GateName))


class Problems(list[str]):
    """What is wrong with a document, a line each."""

    def add(self, place: str, words: str) -> None:
        """Say what is wrong at a place. Keys of TOML may hold anything, also ends of lines."""
        self.append("".join(letter if letter.isprintable() else "�" for letter in f"{place}: {words}"))


def compiled(table: Table, place: str, problems: Problems) -> Condition:
    """Compile a condition; what can't be read is added to `problems`, and tested for nothing."""
    parts = list(_parts(table, place, problems, ""))
    match parts:
        case []:
            return lambda _point, _state: True
        case [only]:
            return only
    return lambda point, state: all(part(point, state) for part in parts)


def first_of(table: Table) -> int:
    """Return the largest number of first tasks that a good condition asks for; 0 where it asks for none."""
    largest = 0
    for key, value in table.items():
        if key == "first":
            largest = max(largest, *value.values())
        elif key in ("any", "all"):
            largest = max([largest, *map(first_of, value)])
        elif key == "not":
            largest = max(largest, first_of(value))
    return largest


def disagreement(point: BenchmarkDataPoint) -> float | None:
    """How far the evaluators' newest overall scores lie apart; None where fewer than two gave one."""
    newest: dict[str | None, tuple[str, str, float]] = {}
    for each in point.facts.evaluations:
        if each.overall_score is not None:
            said = (each.end, each.fact_id, each.overall_score)
            newest[each.evaluator.name] = max(said, newest.get(each.evaluator.name, said))
    scores = [score for _, _, score in newest.values()]
    return max(scores) - min(scores) if len(scores) > 1 else None


def _parts(table: Table, place: str, problems: Problems, path: str) -> Iterator[Condition]:
    """Yield a condition for each key of a table that stands at a path of the record, or at its top."""
    for key, value in table.items():
        where, name = f"{place}.{key}", f"{path}.{key}" if path else key
        if not path and key in _SPECIAL:
            yield _SPECIAL[key](value, where, problems)
        elif name in FIELDS:
            yield _of_field(FIELDS[name].reader(), _test(FIELDS[name], value, where, problems))
        elif isinstance(value, dict) and any(known.startswith(f"{name}.") for known in FIELDS):
            yield from _parts(value, where, problems, name)
        else:
            problems.add(where, _no_field(name))


def _of_field(read: Callable[[BenchmarkDataPoint], Any], test: _Test) -> Condition:
    return lambda point, _state: test(read(point))


def _no_field(name: str) -> str:
    inner = [known for known in FIELDS if known.startswith(f"{name}.")]
    if inner:
        return f"is a section: write a condition on one of its fields, such as {inner[0]}"
    (close,) = difflib.get_close_matches(name[:100], [*FIELDS, *_SPECIAL], n=1) or [""]
    advice = f"did you mean {close}?" if close else "`otel-benchmark schema record` shows them all"
    return f"no field of the record that a condition may name; {advice}"


# -- Tests of a value --------------------------------------------------------------------------------------


def _test(field: Field, value: Any, place: str, problems: Problems) -> _Test:
    """Compile what a field is compared with: a value, a list of values, or a table of bounds."""
    if isinstance(value, dict):
        return _bounded(field, value, place, problems)
    allowed = [each for each in (value if isinstance(value, list) else [value]) if _is_good(field, each)]
    if not allowed or allowed != (value if isinstance(value, list) else [value]):
        problems.add(place, f"has to be {_words(field)}, or a list of such")
    wanted = frozenset(allowed)
    if field.kind is Kind.TEXTS:
        return lambda held: held is not None and not wanted.isdisjoint(held)
    return lambda held: held is not None and held in wanted


def _bounded(field: Field, bounds: Table, place: str, problems: Problems) -> _Test:
    tests = list(_bounds(field, bounds, place, problems))
    if not bounds:
        problems.add(place, f"has to be {_words(field)}, a list of such, or a table with {', '.join(_BOUNDS)}")
    return lambda held: all(test(held) for test in tests)


def _bounds(field: Field, bounds: Table, place: str, problems: Problems) -> Iterator[_Test]:
    for key in sorted(bounds.keys() - {*_BOUNDS}):
        problems.add(f"{place}.{key}", f"no comparison: there are {', '.join(_BOUNDS)}")
    if "known" in bounds:
        known = bounds["known"]
        if not isinstance(known, bool):
            problems.add(f"{place}.known", "has to be true or false")
        yield lambda held: (held is not None and held != ()) is known
    numbers = {key: bounds[key] for key in _BOUNDS[:-1] if key in bounds}
    for key, bound in numbers.items():
        if field.kind is not Kind.NUMBER:
            problems.add(f"{place}.{key}", f"compares numbers, and the field holds {field.kind.value}")
            return
        if not _is_good(_NUMBERS, bound):
            problems.add(f"{place}.{key}", "has to be a number")
            return
    if "above" in numbers:
        above = numbers["above"]
        yield lambda held: held is not None and held > above
    if "below" in numbers:
        below = numbers["below"]
        yield lambda held: held is not None and held < below
    if ("near" in numbers) is not ("within" in numbers) or numbers.get("within", 0) < 0:
        problems.add(place, "near and within belong together, such as near = 0.7, within = 0.05")
    elif "near" in numbers:
        near, within = numbers["near"], numbers["within"]
        yield lambda held: held is not None and abs(held - near) <= within


def _is_good(field: Field, value: Any) -> bool:
    match field.kind:
        case Kind.FLAG:
            return isinstance(value, bool)
        case Kind.NUMBER:
            return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")
    return isinstance(value, str) and (not field.choices or value in field.choices)


def _words(field: Field) -> str:
    return f"one of {', '.join(field.choices)}" if field.choices else field.kind.value


# -- Conditions beside the record's fields -------------------------------------------------------------------


def _gate(value: Any, place: str, problems: Problems) -> Condition:
    if isinstance(value, bool):
        return lambda point, _state: bool(point.verdict and point.verdict.gates_failed) is value
    test = _test(_GATES, value, place, problems)
    return lambda point, _state: point.verdict is not None and test([each.gate for each in point.verdict.gates_failed])


def _tool(value: Any, place: str, problems: Problems) -> Condition:
    test = _test(_TOOLS, value, place, problems)
    return lambda point, _state: test(
        tuple([each.tool_name for each in point.execution.tools_used]) if point.execution else None
    )


def _disagreement(value: Any, place: str, problems: Problems) -> Condition:
    return _of_field(disagreement, _test(_NUMBERS, value, place, problems))


def _first(value: Any, place: str, problems: Problems) -> Condition:
    """Match while an agent, or one of the tools used, has had fewer tasks than the number given."""
    good = isinstance(value, dict) and len(value) == 1
    (name, number), *_ = value.items() if good else [("", 0)]
    if name not in _NAMES or isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= MAX_FIRST:
        problems.add(place, f"has to be a table such as {{ agent = 20 }} or {{ tool = 10 }}, up to {MAX_FIRST}")
    names: Callable[[BenchmarkDataPoint], Iterable[int]] = tools_of if name == "tool" else agent_of

    def test(point: BenchmarkDataPoint, state: SamplingState) -> bool:
        # Nobody new is taken down once the table is full: who isn't in it may be anybody.
        unknown = 0 if len(state.seen) < MAX_SEEN else number
        return any(state.seen.get(each, unknown) < number for each in names(point))

    return test


def _any(value: Any, place: str, problems: Problems) -> Condition:
    parts = _tables(value, place, problems)
    return lambda point, state: any(part(point, state) for part in parts)


def _all(value: Any, place: str, problems: Problems) -> Condition:
    parts = _tables(value, place, problems)
    return lambda point, state: all(part(point, state) for part in parts)


def _tables(value: Any, place: str, problems: Problems) -> list[Condition]:
    if not isinstance(value, list) or not value or not all(isinstance(each, dict) and each for each in value):
        problems.add(place, "has to be a list of conditions, such as [{ task.type = 'research' }, { gate = true }]")
        return []
    return [compiled(each, f"{place}[{number}]", problems) for number, each in enumerate(value, 1)]


def _not(value: Any, place: str, problems: Problems) -> Condition:
    if not isinstance(value, dict) or not value:
        problems.add(place, "has to be a condition, such as { task.type = 'research' }")
        value = {}
    inner = compiled(value, place, problems)
    return lambda point, state: not inner(point, state)


_SPECIAL: Final[dict[str, Callable[[Any, str, Problems], Condition]]] = {
    "gate": _gate,
    "tool": _tool,
    "disagreement": _disagreement,
    "first": _first,
    "any": _any,
    "all": _all,
    "not": _not,
}
