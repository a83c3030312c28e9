"""The content of a deep sample: where the texts stand in it that have to be searched.

It is plain JSON. Keys are ours, for analysers put no word of a task there, and so are ids in hex and times, which a
detector may take for somebody's number. Every other text may be the task's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

OURS: Final = frozenset({"spanId", "at", "sha256"})
"""Keys under which nothing but ids in hex and times of this program stand."""


def texts_of(content: Any) -> list[tuple[str, str]]:
    """Return the texts of a content that may be the task's own, each after the key that it stands under."""
    texts: list[tuple[str, str]] = []
    _gather(content, "", texts)
    return texts


def with_texts(content: Any, values: Iterable[str]) -> Any:
    """Return the same content with these values in place of its texts, in the order of `texts_of`."""
    return _replaced(content, "", iter(values))


def _gather(value: Any, key: str, texts: list[tuple[str, str]]) -> None:
    match value:
        case str():
            if key not in OURS:
                texts.append((key, value))
        case Mapping():
            for name, item in value.items():
                _gather(item, name, texts)
        case list() | tuple():
            for item in value:
                _gather(item, key, texts)


def _replaced(value: Any, key: str, values: Iterator[str]) -> Any:
    match value:
        case str():
            return value if key in OURS else next(values)
        case Mapping():
            return {name: _replaced(item, name, values) for name, item in value.items()}
        case list() | tuple():
            return [_replaced(item, key, values) for item in value]
        case _:
            return value
