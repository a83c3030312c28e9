"""Host values → attribute values. One converter for each type that an attribute can have.

A converter returns None for a value that is not of its type: then the field is missing, and the next common name
is tried. Nothing falls back to `str()`, which may run host code or print a memory address; strings are shortened
and cleaned of what UTF-8 can't carry, sequences and nesting are bounded.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import numbers
from collections import deque
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from enum import Enum
from itertools import islice
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT_BYTES: Final = 2048
"""Free text longer than this (in UTF-8) is shortened and ends in an ellipsis."""
CONTENT_BYTES: Final = 256 * 1024
"""Bound of one content attribute (messages, arguments, patches), recorded by opt-in only."""
LIST_ITEMS: Final = 128
"""Bound of a list attribute, and of the gates, candidates and turns read from one result."""
COLLECTIONS: Final = (list, tuple, set, frozenset, deque)
"""What counts as a list: real containers only, since a custom sequence may run a query for each item."""
_DEPTH: Final = 8
_WIDTH: Final = 1024
_NODE_BYTES: Final = 8
_INT64: Final = 2**63
_T = TypeVar("_T")


def _or_missing(convert: Callable[[Any], _T | None]) -> Callable[[Any], _T | None]:
    """Make a converter say "missing" where the value raises: a host's proxy may do so when its type is asked for."""

    @functools.wraps(convert)
    def converter(value: Any) -> _T | None:
        try:
            return convert(value)
        except Exception:  # noqa: BLE001 - see above
            return None

    return converter


def shorten(text: str, limit: int = TEXT_BYTES) -> str:
    """Return the text in at most `limit` bytes of UTF-8, lone surrogates replaced."""
    if len(text) <= limit and text.isascii():
        return text
    data = text[: limit + 1].encode("utf-8", "replace")
    if len(data) <= limit:
        return data.decode()
    return data[: limit - 3].decode("utf-8", "ignore") + "…"


@_or_missing
def text(value: Any) -> str | None:
    """Free text; an exception gives its message."""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, str):
        return shorten(str.__str__(value))
    if isinstance(value, BaseException):
        return message(value)
    return None


def message(error: BaseException) -> str:
    """Return an exception's message, its type's name where it has none or can't say it."""
    try:
        return shorten(str(error)) or type(error).__name__
    except Exception:  # noqa: BLE001 - the host's own __str__ may raise anything
        return type(error).__name__


@_or_missing
def identifier(value: Any) -> str | None:
    """Name or id: a string, an integer, a UUID, or an enum of these; never empty."""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, str):
        return shorten(str.__str__(value)) or None
    if isinstance(value, UUID) or (isinstance(value, int) and not isinstance(value, bool)):
        return str(value)
    return None


@_or_missing
def number(value: Any) -> float | None:
    """Score or amount, as it is: bounds are the processor's gates, which flag instead of losing."""
    if isinstance(value, bool):
        return None
    if isinstance(value, numbers.Real) or type(value).__name__ == "Decimal":
        try:
            return float(value)
        except (OverflowError, ValueError):
            return None
    return None


@_or_missing
def integer(value: Any) -> int | None:
    """Count: an integer, or a float without a fraction."""
    if isinstance(value, bool):
        return None
    if not isinstance(value, numbers.Integral):
        amount = number(value)
        if amount is None or not amount.is_integer():  # neither NaN nor infinity is
            return None
        value = amount
    count = int(value)
    return count if -_INT64 <= count < _INT64 else None


@_or_missing
def flag(value: Any) -> bool | None:
    """Truth as the host says it; numpy's bool counts, other truthiness doesn't."""
    if isinstance(value, bool):
        return value
    if type(value).__module__ == "numpy" and type(value).__name__.startswith("bool"):
        return bool(value)
    return None


@_or_missing
def texts(value: Any) -> list[str] | None:
    """List of strings; a single string is a list of one. Items of other types are left out."""
    if isinstance(value, str):
        return [shorten(value)] if value else None
    if isinstance(value, COLLECTIONS):
        items = [item for raw in islice(value, LIST_ITEMS) if (item := identifier(raw)) is not None]
        return items if items or not value else None
    return None


@_or_missing
def amounts(value: Any) -> list[float | None] | None:
    """Parallel array of numbers; None keeps the place of an entry that has none."""
    if isinstance(value, COLLECTIONS):
        return [number(item) for item in islice(value, LIST_ITEMS)]
    return None


@_or_missing
def items(value: Any) -> Any:
    """List of objects, or mapping of name → object, as it is."""
    return value if isinstance(value, (*COLLECTIONS, dict)) else None


@_or_missing
def content(value: Any) -> str | None:
    """Content as JSON, a string as it is, both bounded; an unknown object is named by its type."""
    if value is None:
        return None
    if isinstance(value, str):
        return shorten(value, CONTENT_BYTES)
    return shorten(json.dumps(plain(value), ensure_ascii=False, allow_nan=True), CONTENT_BYTES)


class _Room:
    """What is left of the size of one content attribute: objects that refer to one another have no end of paths."""

    def __init__(self) -> None:
        self._bytes = CONTENT_BYTES

    def take(self, value: Any) -> bool:
        """Count a value; False when nothing was left for it."""
        left = self._bytes
        self._bytes -= len(value) if isinstance(value, str) else _NODE_BYTES
        return left > 0


def plain(value: Any) -> Any:
    """Return the value in JSON's types, to a bounded depth, width and size."""
    return _plain(value, _DEPTH, _Room())


def _plain(value: Any, depth: int, room: _Room) -> Any:
    if not room.take(value):
        return "…"
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return shorten(value, CONTENT_BYTES)
    if isinstance(value, Enum):
        return _plain(value.value, depth, room)
    if isinstance(value, (UUID, PurePath, datetime, date, timedelta)):
        return str(value)
    if isinstance(value, BaseException):
        return {"type": type(value).__name__, "message": message(value)}
    if depth == 0:
        return f"<{type(value).__name__}>"
    if isinstance(value, Mapping):
        return {
            key if isinstance(key, str) else str(_plain(key, 0, room)): _plain(item, depth - 1, room)
            for key, item in islice(value.items(), _WIDTH)
        }
    if isinstance(value, COLLECTIONS):
        return [_plain(item, depth - 1, room) for item in islice(value, _WIDTH)]
    fields = members(value)
    if fields is not None:
        return {name: _plain(item, depth - 1, room) for name, item in fields.items()}
    return f"<{type(value).__name__}>"


def members(value: Any) -> dict[str, Any] | None:
    """Return the public data of a dataclass, attrs, pydantic or plain object; None for anything else."""
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
    elif (attrs := getattr(type(value), "__attrs_attrs__", None)) is not None:
        names = [field.name for field in attrs]
    elif hasattr(value, "__dict__") and not callable(value):
        names = list(value.__dict__)
    else:
        return None
    return {name: getattr(value, name, None) for name in names if not name.startswith("_")}
