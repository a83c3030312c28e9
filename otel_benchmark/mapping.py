"""The mapping file: where a field is found when the host's objects use other names.

    [route]
    "selected.id" = "result.agent.identifier"
    "candidates" = "result.options"        # a list of objects …
    "candidates.id" = "agent.identifier"   # … and what its entries call things, relative to the entry

A key is a field's key or its attribute; a path starts at `self`, `args.N`, `kwargs.name`, `result` or `exception`.
`args` counts without `self`; both `args.N` and `kwargs.name` find a parameter however it was passed. Unlike common
names a path is the operator's explicit word, so it may go through properties and list indices.
"""

from __future__ import annotations

import logging
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from otel_benchmark.fields import Field, Root
from otel_benchmark.vocabulary import FIELDS, ITEM_FIELDS, SECTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from otel_benchmark.attributes import Kind
    from otel_benchmark.extract import Attributes

logger = logging.getLogger(__name__)

ROOTS: Final = ("self", "args", "kwargs", "result", "exception")
_OUTCOME_ROOTS: Final = frozenset({"result", "exception"})


@dataclass(frozen=True, slots=True)
class Mapped:
    """One line of the file: a field and the path it is read from."""

    field: Field
    root: str
    path: tuple[str, ...]

    @property
    def at_end(self) -> bool:
        """Whether it is read after the call: what has an outcome's root, or is an outcome found on an input."""
        return self.root in _OUTCOME_ROOTS or set(self.field.names) == {Root.RESULT}

    def read(self, roots: Mapping[str, Any], out: Attributes) -> None:
        """Put the field's attributes into `out` if the path leads to a value of its type."""
        if self.root not in roots:
            return
        value = self.field.convert(follow(roots[self.root], self.path))
        if value is not None:
            for attribute in self.field.attributes:
                out[attribute] = value


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of one section; `items` are those about the entries of a list, by the list's key."""

    fields: tuple[Mapped, ...] = ()
    items: Mapping[str, tuple[Mapped, ...]] = field(default_factory=dict)


def load(path: Path | None) -> Mapping[Kind, Lines]:
    """Read the file. What is wrong in it costs a warning that names the line's key; the rest holds."""
    if path is None:
        return {}
    try:
        with path.open("rb") as file:
            document = tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError) as error:
        logger.warning("mapping file %s can't be read (%s); only the common names are tried", path, error)
        return {}
    lines: dict[Kind, Lines] = {}
    for section, table in document.items():
        if section in SECTIONS and isinstance(table, dict):
            lines[SECTIONS[section]] = _section(SECTIONS[section], f"{path} [{section}]", table)
        else:
            logger.warning("mapping file %s: [%s] is no section (%s)", path, section, ", ".join(SECTIONS))
    return lines


def follow(value: Any, path: tuple[str, ...]) -> Any:
    """Return what the path leads to, None where it ends early or the host's code raises."""
    try:
        for step in path:
            if value is None:
                return None
            if isinstance(value, Mapping):
                value = value.get(step)
            elif step.isdecimal():
                value = value[int(step)]
            else:
                value = getattr(value, step)
    except Exception:  # noqa: BLE001 - a property of the host may raise anything: missing
        return None
    return value


def _section(kind: Kind, where: str, table: Mapping[str, Any]) -> Lines:
    known = {name: each for each in FIELDS[kind] for name in (each.key, *each.attributes)}
    fields: list[Mapped] = []
    items: dict[str, list[Mapped]] = {}
    for key, text in _flat(table):
        listed, _, part = key.rpartition(".")
        parts = {each.key: each for each in ITEM_FIELDS[listed]} if listed in ITEM_FIELDS and listed in known else {}
        steps = tuple(text.split(".")) if isinstance(text, str) and text else ()
        if not steps or not all(steps):
            logger.warning('mapping file %s: %r needs a path such as "result.agent.id"', where, key)
        elif part in parts:
            items.setdefault(listed, []).append(Mapped(parts[part], "item", steps))
        elif key not in known:
            logger.warning("mapping file %s: %r is no field (%s)", where, key, ", ".join(f.key for f in FIELDS[kind]))
        elif steps[0] not in ROOTS or (steps[0] in {"args", "kwargs"} and len(steps) == 1):
            logger.warning(
                "mapping file %s: %r starts at none of %s", where, text, "self, args.N, kwargs.name, result, exception"
            )
        else:
            fields.append(Mapped(known[key], steps[0], steps[1:]))
    return Lines(tuple(fields), {name: tuple(mapped) for name, mapped in items.items()})


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted keys: TOML reads an unquoted `selected.id = …` as nested tables."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
