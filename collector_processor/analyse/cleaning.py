"""The privacy pass over what an analyser found, before any of it is stored.

All texts of a finding are searched together, with what the task's own spans say beside it, so that a name that one of
them announces is found in the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from collector_processor.analyse.analyser import Clean
from collector_processor.analyse.material import Material
from collector_processor.model.content import texts_of, with_texts
from otel_benchmark import attributes as a

MAX_BESIDE_BYTES: Final = 256 * 1024
"""Of the texts that are searched only for what they tell of the others."""


class Swept(NamedTuple):
    """A finding's content in plain JSON types, and how many of its texts were withheld."""

    content: Any
    withheld: int


def sweep(content: Any, material: Material, clean: Clean) -> Swept:
    """Clean every text of a finding's content that may be the task's own."""
    texts = texts_of(content)
    if not texts:
        return Swept(content, 0)
    cleaned = clean([*texts, *_beside(material)], material.record.tenant_id)
    withheld = sum(number < len(texts) for number in cleaned.withheld)
    return Swept(with_texts(content, [value.replace("\0", "") for value in cleaned.values]), withheld)


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
