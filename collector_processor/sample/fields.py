"""Fields of the record that a condition may name: paths of the wire form, such as `execution.costUsd`.

They are read off the record's types. Left out is what says nothing of a task before it is decided about: identity,
facts (their folded sections are here) and the sampling itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum, StrEnum
from types import UnionType
from typing import Any, Final, NamedTuple, Union, get_args, get_origin

import msgspec

from collector_processor.model.record import BenchmarkDataPoint

_LEFT_OUT: Final = frozenset({"id", "timestamp", "schema_version", "revision", "sampling", "facts"})


class Kind(Enum):
    """What a field holds, as an error message says it."""

    TEXT = "text"
    NUMBER = "a number"
    FLAG = "true or false"
    TEXTS = "texts"


class Field(NamedTuple):
    """A field: how it is reached, what it holds, and the values that it may have (empty: any)."""

    path: tuple[str, ...]
    kind: Kind
    choices: tuple[str, ...] = ()

    def reader(self) -> Callable[[BenchmarkDataPoint], Any]:
        """Return a function that reads it; None where it, or a section above it, is missing."""
        *sections, last = self.path

        def read(point: Any) -> Any:
            for name in sections:
                point = getattr(point, name)
                if point is None:
                    return None
            return getattr(point, last)

        return read


def _walk(struct: type[msgspec.Struct], wire: str, path: tuple[str, ...]) -> Iterator[tuple[str, Field]]:
    for each in msgspec.structs.fields(struct):
        if not path and each.name in _LEFT_OUT:
            continue
        place, name = (*path, each.name), f"{wire}.{each.encode_name}" if wire else each.encode_name
        type_ = _without_null(each.type)
        if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
            yield from _walk(type_, name, place)
        elif (found := _leaf(type_)) is not None:
            yield name, Field(place, *found)


def _without_null(type_: Any) -> Any:
    if get_origin(type_) in (Union, UnionType):
        (type_,) = [each for each in get_args(type_) if each is not type(None)]
    return type_


def _leaf(type_: Any) -> tuple[Kind, tuple[str, ...]] | None:
    """Tell what a field holds; None for lists of objects."""
    many = get_origin(type_) is tuple
    if many:
        type_ = get_args(type_)[0]
    if issubclass(type_, StrEnum):
        return Kind.TEXTS if many else Kind.TEXT, tuple(type_)
    if issubclass(type_, str):
        return Kind.TEXTS if many else Kind.TEXT, ()
    if many:
        return None
    return Kind.FLAG if issubclass(type_, bool) else Kind.NUMBER, ()


FIELDS: Final[dict[str, Field]] = dict(_walk(BenchmarkDataPoint, "", ()))
"""Path in wire form → field."""
