"""A person's corrections: JSON Patch (RFC 6902) on a folded record.

Sections can be corrected, and who had a part in the work; identity, facts, state and verdict can't. What is derived
from the sections (reward, outcome, token efficiency) is derived again by the fold.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from collector_processor.errors import CorrectionError
from collector_processor.model.facts import Anomaly, Correction, Facts, Problem
from collector_processor.model.record import BenchmarkDataPoint, encode_point

CORRECTABLE: Final = (
    ("task",),
    ("routing",),
    ("execution",),
    ("evaluation",),
    ("caws",),
    ("provenance", "aiAssisted"),
    ("provenance", "humanReviewed"),
    ("provenance", "commitHash"),
)
"""Where a step may point: there or below."""

_END: Final = "-"
_DETAIL_LENGTH: Final = 300
"""Characters of an error that an anomaly keeps: it may show a value."""


class Corrected(NamedTuple):
    """A record with its corrections, and those of them, by place, that don't fit it (any longer), with the reason."""

    record: BenchmarkDataPoint
    unfit: Mapping[int, str]


def corrected(record: BenchmarkDataPoint, corrections: Iterable[Correction]) -> Corrected:
    """Apply corrections in their order; one that no longer fits what came later is left out whole, and told."""
    unfit: dict[int, str] = {}
    for place, correction in enumerate(corrections):
        try:
            record = correct(record, correction.patch)
        except CorrectionError as error:
            unfit[place] = str(error)
    return Corrected(record, unfit)


def with_unfit(facts: Facts, unfit: Mapping[int, str]) -> Facts:
    """Return a task's facts with an anomaly for each correction that doesn't fit; what an earlier fold said goes."""
    kept = [each for each in facts.anomalies if each.problem is not Problem.CORRECTION_UNFIT]
    task = facts.task
    assert task is not None
    for place, error in unfit.items():
        # Who made it stands in the correction: an anomaly goes where authors do not.
        detail = f"the correction of {facts.corrections[place].time} is left out: {error}"[:_DETAIL_LENGTH]
        kept.append(Anomaly(task.span_id, f"facts.corrections[{place}]", Problem.CORRECTION_UNFIT, detail))
    anomalies = tuple(sorted(kept, key=lambda each: (each.span_id, each.field, each.problem)))
    return facts if anomalies == facts.anomalies else msgspec.structs.replace(facts, anomalies=anomalies)


def correct(record: BenchmarkDataPoint, patch: Sequence[Mapping[str, Any]]) -> BenchmarkDataPoint:
    """Apply one patch.

    Raises:
        CorrectionError: a step is malformed, points nowhere or where nothing may be changed, a `test` fails, or what
            comes out is no record.
    """
    document = msgspec.json.decode(encode_point(record))
    for number, step in enumerate(patch, start=1):
        try:
            _apply(document, step)
        except _StepError as error:
            raise CorrectionError(f"step {number} of the patch: {error}") from None
    try:
        return msgspec.convert(document, BenchmarkDataPoint)
    except msgspec.ValidationError as error:
        raise CorrectionError(f"with the patch it would be no record: {error}") from None


class _StepError(Exception):
    """Why a step can't be applied."""


def _apply(document: Any, step: Mapping[str, Any]) -> None:
    path = _pointer(step, "path")
    match step.get("op"):
        case "add":
            _add(document, path, _value(step))
        case "remove":
            _remove(document, path)
        case "replace":
            value = _value(step)
            _remove(document, path)
            _add(document, path, value)
        case "move":
            _add(document, path, _remove(document, _pointer(step, "from")))
        case "copy":
            _add(document, path, copy.deepcopy(_get(document, _pointer(step, "from"))))
        case "test":
            if not _same(_get(document, path), _value(step)):
                raise _StepError(f"{step['path']} is {_get(document, path)!r}, not {step['value']!r}")
        case op:
            raise _StepError(f"op {op!r} is not one of add, remove, replace, move, copy, test")


def _pointer(step: Mapping[str, Any], name: str) -> list[str]:
    """The parts of a JSON Pointer (RFC 6901)."""
    text = step.get(name)
    if not isinstance(text, str) or not text.startswith("/"):
        raise _StepError(f"{name!r} has to be a JSON Pointer such as /task/type, not {text!r}")
    parts = [part.replace("~1", "/").replace("~0", "~") for part in text[1:].split("/")]
    if not any(tuple(parts[: len(place)]) == place for place in CORRECTABLE):
        places = ", ".join("/" + "/".join(place) for place in CORRECTABLE)
        raise _StepError(f"{text} can't be corrected; what can is {places}, and what is below")
    return parts


def _value(step: Mapping[str, Any]) -> Any:
    if "value" not in step:
        raise _StepError("it has no 'value'")
    return copy.deepcopy(step["value"])


def _get(document: Any, path: Sequence[str]) -> Any:
    for part in path:
        document = document[_key(document, part, path)]
    return document


def _add(document: Any, path: Sequence[str], value: Any) -> None:
    *way, last = path
    parent = _get(document, way)
    if not isinstance(parent, list):
        # A record has all its keys always, so that a new one is a misspelling.
        parent[_key(parent, last, path)] = value
    elif last == _END:
        parent.append(value)
    else:
        parent.insert(_index(parent, last, path, len(parent)), value)


def _remove(document: Any, path: Sequence[str]) -> Any:
    *way, last = path
    parent = _get(document, way)
    key = _key(parent, last, path)
    value = parent[key]
    if isinstance(parent, list):
        del parent[key]
    else:
        parent[key] = None
    return value


def _key(container: Any, part: str, path: Sequence[str]) -> Any:
    if isinstance(container, list):
        return _index(container, part, path, len(container) - 1)
    if not isinstance(container, dict) or part not in container:
        raise _StepError(f"there is no /{'/'.join(path)}")
    return part


def _index(container: Sequence[Any], part: str, path: Sequence[str], most: int) -> int:
    if not part.isascii() or not part.isdecimal() or len(part) > 9 or int(part) > most:
        raise _StepError(f"there is no /{'/'.join(path)}: the list has {len(container)} entries")
    return int(part)


def _same(left: Any, right: Any) -> bool:
    """Equal as JSON: Python takes true for 1."""
    return bool(msgspec.json.encode(left, order="sorted") == msgspec.json.encode(right, order="sorted")) or (
        _is_number(left) and _is_number(right) and left == right
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
