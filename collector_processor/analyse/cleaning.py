"""The privacy pass over what an analyser found: every text in it is the task's own, unless it is marked as ours.

All texts of a finding are searched together, with what the task's own spans say beside it, so that a name that one of
them announces is found in the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from collector_processor.analyse.analyser import Clean
from collector_processor.analyse.material import Material
from otel_benchmark import attributes as a

MAX_BESIDE_BYTES: Final = 256 * 1024
"""Of the texts that are searched only for what they tell of the others."""


class Own(str):
    """A text that this program made: an id in hex, a time, a word of a closed vocabulary. It is not searched."""

    __slots__ = ()


class Swept(NamedTuple):
    """A finding's content in plain JSON types, and how many of its texts were withheld."""

    content: Any
    withheld: int


def sweep(content: Any, material: Material, clean: Clean) -> Swept:
    """Clean every text of a finding's content. Keys are ours always, for analysers put no word of a task there."""
    texts: list[tuple[str, str]] = []
    _gather(content, "", texts)
    if not texts:
        return Swept(_replaced(content, iter(())), 0)
    cleaned = clean([*texts, *_beside(material)], material.record.tenant_id)
    withheld = sum(number < len(texts) for number in cleaned.withheld)
    return Swept(_replaced(content, iter(cleaned.values)), withheld)


def _gather(value: Any, key: str, texts: list[tuple[str, str]]) -> None:
    match value:
        case Own():
            pass
        case str():
            texts.append((key, value))
        case Mapping():
            for name, item in value.items():
                _gather(item, name, texts)
        case list() | tuple():
            for item in value:
                _gather(item, key, texts)


def _replaced(value: Any, values: Any) -> Any:
    match value:
        case Own():
            return str(value)
        case str():
            return next(values).replace("\0", "")
        case Mapping():
            return {name: _replaced(item, values) for name, item in value.items()}
        case list() | tuple():
            return [_replaced(item, values) for item in value]
        case _:
            return value


def _beside(material: Material) -> Sequence[tuple[str, str]]:
    """Return what a task's own spans say of it, but for content, which is the finding's business."""
    beside: list[tuple[str, str]] = []
    room = MAX_BESIDE_BYTES
    for span in material.spans:
        if a.TASK_ID not in span.attributes:
            continue
        for name, value in span.attributes.items():
            for text in value if isinstance(value, list) else [value]:
                if isinstance(text, str) and name not in a.CONTENT_ATTRIBUTES and len(text) <= room:
                    beside.append((name, text))
                    room -= len(text)
    return beside
