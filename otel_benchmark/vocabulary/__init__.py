"""The fields of each lifecycle span and the common names they are found under, tried from left to right.

One module a span. Names inside an object's parts (`agent.id`) stand together in a list; roots are tried in the order
of `fields.Root`.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from otel_benchmark.attributes import Kind
from otel_benchmark.environment import TARGETS
from otel_benchmark.vocabulary.evaluate import EVALUATE
from otel_benchmark.vocabulary.execute import EXECUTE
from otel_benchmark.vocabulary.items import CANDIDATES, GATES, ITEM_FIELDS, TURNS
from otel_benchmark.vocabulary.route import ROUTE
from otel_benchmark.vocabulary.task import TASK
from otel_benchmark.vocabulary.tool import TOOL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_benchmark.fields import Field

__all__ = ["CANDIDATES", "FIELDS", "GATES", "ITEM_FIELDS", "SECTIONS", "TURNS"]

FIELDS: Final[Mapping[Kind, tuple[Field, ...]]] = MappingProxyType(
    {Kind.TASK: TASK, Kind.ROUTE: ROUTE, Kind.EXECUTION: EXECUTE, Kind.TOOL_CALL: TOOL, Kind.EVALUATION: EVALUATE}
)

SECTIONS: Final[Mapping[str, Kind]] = MappingProxyType(
    {name.rpartition("_")[2].lower(): kind for kind, name in TARGETS.items()}
)
"""Sections of the mapping file, named like the variables: task, route, execute, tool, evaluate."""
