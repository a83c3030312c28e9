"""Prints the tables of FIELDS.md, fields and their common names: `python -m otel_benchmark.vocabulary`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_benchmark.fields import Root, Value
from otel_benchmark.vocabulary import FIELDS, ITEM_FIELDS, SECTIONS

if TYPE_CHECKING:
    from otel_benchmark.fields import Field


def markdown() -> str:
    """Return the tables of FIELDS.md."""
    lines: list[str] = []
    for section, kind in SECTIONS.items():
        lines += [f"**`[{section}]`**", "", "| key | attribute | type | common names |", "|---|---|---|---|"]
        for item in FIELDS[kind]:
            lines.append(_row(item.key, item))
            lines += [_row(f"{item.key}.{part.key}", part) for part in ITEM_FIELDS.get(item.key, ())]
        lines.append("")
    return "\n".join(lines)


def _row(key: str, item: Field) -> str:
    attribute = (
        "parallel arrays or events" if item.value is Value.ITEMS else " ".join(f"`{n}`" for n in item.attributes)
    )
    found = "; ".join(
        f"{root.value}: " + " ".join(f"`{name}`" for name in names if name.islower() or name == ".")
        for root, names in sorted(item.names.items(), key=lambda pair: list(Root).index(pair[0]))
    )
    return f"| `{key}` | {attribute} | {item.value.value} | {found} |"


if __name__ == "__main__":
    print(markdown())  # noqa: T201 - printing is what it is for
