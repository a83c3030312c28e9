"""Attribute values, typed and cleaned: what cannot be stored as it was said is mended or left out, and flagged.

A value of another type is accepted where the change loses nothing: an integer as text or as a number, a number
without a fraction as an integer, one text as a list of one. Text is never parsed. Anomalies name the attribute and
say what was wrong with it, never a text itself, which may be personal; nor is a number that could be a payment card's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Any, Final

from collector_processor.convert.messages import Lookup
from collector_processor.model.facts import Anomaly, Problem
from collector_processor.model.ranges import BEYOND

MAX_TEXT_BYTES: Final = 2048
MAX_ITEMS: Final = 1024
"""Items of one list, and events of one kind on one span, that are kept."""

_SURELY_SHORT: Final = MAX_TEXT_BYTES // 4
"""Characters of which UTF-8 can't make more than `MAX_TEXT_BYTES`."""
_UNSET: Final = None


class Attributes:
    """Attributes of one span or event: a typed getter per kind of value, None where there is none that can be used.

    `problems` is the task's common list: what was cleaned is added to it under the span's id.
    """

    __slots__ = ("_get", "_problems", "_span_id", "has")

    def __init__(self, get: Lookup, span_id: str, problems: list[Anomaly]) -> None:
        self._get = get
        self._span_id = span_id
        self._problems = problems
        self.has = get
        """Name → something where the attribute is present, whatever its type."""

    def text(self, name: str) -> str | None:
        """Return a text without NUL characters, of at most `MAX_TEXT_BYTES`; an empty one counts as missing."""
        value = self._get(name)
        if value is None:
            return None
        text: str = value.string_value
        if text and len(text) <= _SURELY_SHORT and "\0" not in text:
            return text
        return self._text(name, value)

    def number(self, name: str) -> float | None:
        """Return a number less than `BEYOND`."""
        value = self._get(name)
        if value is None:
            return None
        number: float = value.double_value
        if number and -BEYOND < number < BEYOND:
            return number
        return self._number(name, value)

    def integer(self, name: str) -> int | None:
        """Return a whole number less than `BEYOND`."""
        value = self._get(name)
        if value is None:
            return None
        whole: int = value.int_value
        return whole if 0 < whole < BEYOND else self._integer(name, value)

    def boolean(self, name: str) -> bool | None:
        """Return a truth value; neither numbers nor words stand for one."""
        value = self._get(name)
        if value is None:
            return None
        if value.bool_value:
            return True
        kind = value.WhichOneof("value")
        if kind == "bool_value":
            return False
        if kind is not _UNSET:
            self.flag(name, Problem.WRONG_TYPE, f"{_words(kind)} where true or false belongs")
        return None

    def texts(self, name: str) -> tuple[str | None, ...] | None:
        """Return a list of texts, an item that is none as None; at most `MAX_ITEMS`."""
        items = self._items(name)
        if items is None:
            return None
        texts = [item.string_value for item in items]
        if all(texts) and len(joined := "".join(texts)) <= _SURELY_SHORT and "\0" not in joined:
            return tuple(texts)
        return tuple([self._text(name, item) for item in items])

    def numbers(self, name: str) -> tuple[float | None, ...] | None:
        """Return a list of numbers less than `BEYOND`, an item that is none as None; at most `MAX_ITEMS`."""
        items = self._items(name)
        if items is None:
            return None
        numbers = [item.double_value for item in items]
        if all(numbers) and sum(map(abs, numbers)) < BEYOND:
            return tuple(numbers)
        return tuple([self._number(name, item) for item in items])

    def said(self, name: str) -> tuple[str, ...]:
        """Return the texts of a list that are texts."""
        return tuple([text for text in self.texts(name) or () if text is not None])

    def within(self, items: Iterable[Any]) -> Attributes:
        """Return the attributes of a part of the span, an event: KeyValues, of one name the last."""
        return Attributes({item.key: item.value for item in items}.get, self._span_id, self._problems)

    def clean(self, name: str, text: str) -> str | None:
        """Clean a text that stands outside the attributes; what is done to it is flagged as `name`."""
        cleaned, problems = clean_text(text)
        for problem, detail in problems:
            self.flag(name, problem, detail)
        return cleaned

    def flag(self, name: str, problem: Problem, detail: str) -> None:
        """Add an anomaly of this span; the items of a list complain once."""
        last = self._problems[-1] if self._problems else None
        if not (last and last.field == name and last.problem is problem and last.span_id == self._span_id):
            self._problems.append(Anomaly(self._span_id, name, problem, detail))

    def _items(self, name: str) -> Sequence[Any] | None:
        value = self._get(name)
        if value is None:
            return None
        items: Sequence[Any] = value.array_value.values
        if not items:
            kind = value.WhichOneof("value")
            if kind is _UNSET:
                return None
            if kind == "kvlist_value":
                self.flag(name, Problem.WRONG_TYPE, "a map where a list belongs")
                return None
            return () if kind == "array_value" else (value,)
        if len(items) > MAX_ITEMS:
            self.flag(name, Problem.SHORTENED, f"{len(items)} items, {MAX_ITEMS} kept")
            return items[:MAX_ITEMS]
        return items

    def _text(self, name: str, value: Any) -> str | None:
        kind = value.WhichOneof("value")
        if kind == "string_value":
            return self.clean(name, value.string_value)
        if kind == "int_value":
            return str(value.int_value)
        if kind is not _UNSET:
            self.flag(name, Problem.WRONG_TYPE, f"{_words(kind)} where text belongs")
        return None

    def _number(self, name: str, value: Any) -> float | None:
        kind = value.WhichOneof("value")
        if kind in ("double_value", "int_value"):
            number = float(value.double_value if kind == "double_value" else value.int_value)
            return number if self._is_within(name, number) else None
        if kind is not _UNSET:
            self.flag(name, Problem.WRONG_TYPE, f"{_words(kind)} where a number belongs")
        return None

    def _integer(self, name: str, value: Any) -> int | None:
        kind = value.WhichOneof("value")
        if kind == "int_value":
            whole = int(value.int_value)
            return whole if self._is_within(name, whole) else None
        if kind == "double_value":
            number: float = value.double_value
            if not self._is_within(name, number):
                return None
            if number.is_integer():
                return int(number)
            self.flag(name, Problem.WRONG_TYPE, f"{number!r} where a whole number belongs")
        elif kind is not _UNSET:
            self.flag(name, Problem.WRONG_TYPE, f"{_words(kind)} where a whole number belongs")
        return None

    def _is_within(self, name: str, number: float) -> bool:
        if -BEYOND < number < BEYOND:
            return True
        if isfinite(number):
            self.flag(name, Problem.OUT_OF_RANGE, "14 digits or more: nothing that is counted or measured is so large")
        else:
            self.flag(name, Problem.NOT_FINITE, str(number))
        return False


def clean_text(text: str) -> tuple[str | None, tuple[tuple[Problem, str], ...]]:
    """Return a text as it may be stored, None where nothing is left, and what was done to it."""
    problems: list[tuple[Problem, str]] = []
    if "\0" in text:
        problems.append((Problem.NUL_REMOVED, f"{text.count(chr(0))} NUL characters"))
        text = text.replace("\0", "")
    if len(text) > _SURELY_SHORT:
        encoded = text.encode()
        if len(encoded) > MAX_TEXT_BYTES:
            problems.append((Problem.SHORTENED, f"{len(encoded)} bytes, {MAX_TEXT_BYTES} kept"))
            text = encoded[:MAX_TEXT_BYTES].decode(errors="ignore")
    return text or None, tuple(problems)


def _words(kind: str) -> str:
    """Name the type of an AnyValue's field as a person would."""
    return {
        "string_value": "text",
        "bool_value": "true or false",
        "int_value": "a whole number",
        "double_value": "a number",
        "array_value": "a list",
        "kvlist_value": "a map",
        "bytes_value": "bytes",
    }.get(kind, kind)
