"""The local fallback: what the database can't take now, as redacted facts in JSON Lines, until it can.

`lines` is the form of one task, `folder` the files. `app.storing.fallback` decides when something goes there and comes
back.
"""

from collector_processor.fallback.folder import Block, Folder
from collector_processor.fallback.lines import (
    Line,
    converted_of,
    decode,
    encode,
    line_of,
    narrowed,
    span_of,
    task_ids_of,
    tenants_of,
)

__all__ = [
    "Block",
    "Folder",
    "Line",
    "converted_of",
    "decode",
    "encode",
    "line_of",
    "narrowed",
    "span_of",
    "task_ids_of",
    "tenants_of",
]
