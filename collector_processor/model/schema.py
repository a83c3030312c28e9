"""The record's JSON Schema, generated from its types and ranges and committed beside this module.

Usage: python -m collector_processor.model.schema (writes the file anew)

It describes a valid record. One that a gate found out of range is stored too, in quarantine, and does not match.
"""

from __future__ import annotations

import inspect
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import msgspec

from collector_processor.model.ranges import RANGES, Range
from collector_processor.model.record import SCHEMA_VERSION, BenchmarkDataPoint

FILE_NAME: Final = "benchmark-data-point.schema.json"

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_NUMBERS: Final = frozenset({"number", "integer"})


def record_schema() -> dict[str, Any]:
    """Generate the schema: every key is always present, and there are no others."""
    schema = msgspec.json.schema(BenchmarkDataPoint)
    definitions: dict[str, dict[str, Any]] = schema["$defs"]
    for definition in definitions.values():
        if "description" in definition:
            # From 3.13 on Python strips a docstring's indentation itself: the file must not depend on who generated it.
            definition["description"] = inspect.cleandoc(definition["description"])
        if properties := definition.get("properties"):
            definition["required"] = list(properties)
            definition["additionalProperties"] = False
            for described in properties.values():
                described.pop("default", None)
    for owner, ranges in RANGES.items():
        wire = dict(zip(owner.__struct_fields__, owner.__struct_encode_fields__, strict=True))
        for field, bound in ranges.items():
            _bind(definitions[owner.__name__]["properties"][wire[field]], bound)
    return {"$schema": _DIALECT, "title": f"BenchmarkDataPoint, schema version {SCHEMA_VERSION}", **schema}


def encoded_schema() -> bytes:
    """Return the schema as it stands in the committed file."""
    return msgspec.json.format(msgspec.json.encode(record_schema()), indent=2) + b"\n"


def committed_schema() -> bytes:
    """Return the committed file, which every installation carries."""
    return files(__package__ or __name__).joinpath(FILE_NAME).read_bytes()


def _bind(described: dict[str, Any], bound: Range) -> None:
    """Add a range to the description of a number, which may also be null."""
    for branch in described.get("anyOf", [described]):
        if branch.get("type") in _NUMBERS:
            branch["exclusiveMinimum" if bound.above else "minimum"] = bound.low
            if bound.high != float("inf"):
                branch["maximum"] = bound.high


if __name__ == "__main__":
    Path(__file__).with_name(FILE_NAME).write_bytes(encoded_schema())
