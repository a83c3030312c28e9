"""Where texts stand in the database beside records, and how they are read and written anew.

Facts that wait for their record (`strays`, `awaited`) are vocabulary, and mended as such; everything else is a list of
texts in a row. Columns of points and key rows follow from the record, and deep samples are searched with theirs. Who
adds a place for texts adds it here: a test asks the catalogue for every column that could hold one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from uuid import UUID

from otel_benchmark import attributes as a

_NOBODY: Final = UUID(int=0)
_REASON: Final = "corrections.reason"


class Place(NamedTuple):
    """Texts in rows of one kind.

    `page` is the statement that reads the next rows: their key, as in `begin`, their `tenant`, and their `texts`;
    `mend` is the one that writes a row's texts. `said_as` are the names by which the texts go in a search, the last
    one for all that follow; `documents` are those that are JSON, by place.
    """

    name: str
    page: str
    mend: str
    begin: Mapping[str, Any]
    said_as: tuple[str, ...]
    documents: frozenset[int] = frozenset()


PLACES: Final = (
    Place(
        "decisions", "page_of_decisions", "mend_decision", {"entry": 0}, (_REASON, "corrections.patch"), frozenset({1})
    ),
    Place("erasures", "page_of_erasures", "mend_erasure", {"number": 0}, (_REASON,)),
    Place("refusals", "page_of_refusals", "mend_refusal", {"batch_id": _NOBODY}, ("error",)),
    Place("tombstones", "page_of_tombstones", "mend_tombstone", {"id": _NOBODY}, (a.SERVICE_NAMESPACE,)),
    Place("halted sources", "page_of_halts", "mend_halt", {"source": ""}, (a.SERVICE_NAME,)),
    Place("statistics by agent", "page_of_labels", "mend_label", {"label": "agent_id", "value": ""}, (a.AGENT_ID,)),
    Place("statistics by type", "page_of_labels", "mend_label", {"label": "task_type", "value": ""}, (a.TASK_TYPE,)),
)
