"""What a batch brings: its spans grouped by the point they belong to, and the strays that have to find theirs.

Pure: no connection, no clock. A fact whose id is its trace id and span id is a span; one made of an event has a hash
instead, and counts as no span. A log record has a hash too, and is counted as a span is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final, NamedTuple, TypeVar
from uuid import UUID

import msgspec

from collector_processor.model.facts import (
    EvaluationFact,
    ExecutionFact,
    Fact,
    Facts,
    RoutingFact,
    ToolCallFact,
)
from collector_processor.model.record import point_id
from collector_processor.model.stages import (
    Converted,
    LifecycleFact,
    PreparedBatch,
    Refused,
    SpanKey,
    Stray,
)

Unite = Callable[[Facts, Facts], Facts]
"""(what was known, what came) → both, each fact once: the first one wins."""

_AnyFact = TypeVar("_AnyFact", bound=Fact)

_FACT_TYPES: Final[dict[str, type[LifecycleFact]]] = {
    "route": RoutingFact,
    "execution": ExecutionFact,
    "tool_call": ToolCallFact,
    "evaluation": EvaluationFact,
}
_KINDS: Final[dict[type[Fact], str]] = {type_: kind for kind, type_ in _FACT_TYPES.items()}


_REASON_LENGTH: Final = 500
"""Characters of an error that the ledger keeps."""


class Contribution(NamedTuple):
    """A batch's share of one point: `spans` in all, of which `repeated` stand in the batch more than once.

    `tenant` is what a part without its task names.
    """

    id: UUID
    key: SpanKey
    facts: Facts
    spans: int
    repeated: int
    tenant: str | None = None

    @property
    def silent(self) -> int:
        """Spans that say nothing of the task themselves: they share the fate of what came with them."""
        return self.spans - self.repeated - len(span_ids(self.facts))


@dataclass(slots=True)
class Grouped:
    """A whole batch, sorted.

    What needs no statement is counted: spans that are `repeated` or add nothing to a point that is closed, and
    `speechless` ones that came with strays but are none.
    """

    contributions: list[Contribution]
    strays: list[Stray]
    repeated: int = 0
    speechless: int = 0
    undecodable: list[tuple[bytes, bytes, bytes, str]] = field(default_factory=list)


def group(batch: PreparedBatch, unite: Unite) -> Grouped:
    """Sort a batch's tasks by point, in order of id, each point and each stray once."""
    shares: dict[UUID, Contribution] = {}
    strays: dict[SpanKey, Stray] = {}
    grouped = Grouped([], [])
    for task in batch.tasks:
        grouped.undecodable += [(*each.key, each.raw, each.reason) for each in task.undecodable]
        if task.facts is not None:
            share = _contribution(task, task.facts)
            if share.facts == Facts():
                grouped.repeated += share.spans
                continue
            known = shares.get(share.id)
            shares[share.id] = _add(known, share, unite) if known else share
        else:
            grouped.speechless += task.spans - sum(weight(stray.fact) for stray in task.strays)
            for stray in task.strays:
                if stray.key in strays:
                    grouped.repeated += weight(stray.fact)
                else:
                    strays[stray.key] = stray
    grouped.contributions = [shares[id_] for id_ in sorted(shares, key=_number)]
    grouped.strays = [strays[key] for key in sorted(strays)]
    return grouped


def _number(id_: UUID) -> int:
    # The order of PostgreSQL's own comparison of uuid; two numbers are compared faster than two UUIDs.
    return id_.int


def _contribution(task: Converted, facts: Facts) -> Contribution:
    key = SpanKey(task.sealed.trace_id, task.sealed.span_id)
    return Contribution(point_id(*key), key, facts, task.spans, 0, task.tenant)


def _add(known: Contribution, more: Contribution, unite: Unite) -> Contribution:
    again = len(span_ids(known.facts) & span_ids(more.facts))
    return known._replace(
        facts=unite(known.facts, more.facts),
        spans=known.spans + more.spans,
        repeated=known.repeated + again,
        tenant=known.tenant or more.tenant,
    )


# -- Facts -----------------------------------------------------------------------------------------


def each_fact(facts: Facts) -> Iterator[Fact]:
    """Every fact but a person's corrections."""
    return chain(
        (facts.task,) if facts.task else (),
        facts.routings,
        facts.executions,
        facts.tool_calls,
        facts.model_calls,
        facts.evaluations,
    )


def fact_ids(facts: Facts) -> frozenset[str]:
    """Identities of all facts."""
    return frozenset(fact.fact_id for fact in each_fact(facts))


def span_ids(facts: Facts) -> frozenset[str]:
    """Identities of the spans that these facts are."""
    return frozenset(fact.fact_id for fact in each_fact(facts) if weight(fact))


def weight(fact: Fact) -> int:
    """How many spans or log records a fact counts as: 1, or 0 for one made of a span's event."""
    return int(fact.fact_id == fact.trace_id + fact.span_id or (isinstance(fact, EvaluationFact) and fact.logged))


def without(facts: Facts, dropped: frozenset[str]) -> Facts:
    """The facts but those of these identities; the task's own always stays."""

    def kept(some: Sequence[_AnyFact]) -> tuple[_AnyFact, ...]:
        return tuple(fact for fact in some if fact.fact_id not in dropped)

    return msgspec.structs.replace(
        facts,
        routings=kept(facts.routings),
        executions=kept(facts.executions),
        tool_calls=kept(facts.tool_calls),
        model_calls=kept(facts.model_calls),
        evaluations=kept(facts.evaluations),
    )


def facts_of(some: Iterable[LifecycleFact]) -> Facts:
    """Stray facts as facts that can be united."""
    sorted_: dict[type[Fact], list[Any]] = {type_: [] for type_ in _KINDS}
    for fact in some:
        sorted_[type(fact)].append(fact)
    return Facts(
        routings=tuple(sorted_[RoutingFact]),
        executions=tuple(sorted_[ExecutionFact]),
        tool_calls=tuple(sorted_[ToolCallFact]),
        evaluations=tuple(sorted_[EvaluationFact]),
    )


def refusal(item: Contribution | Stray, reason: str) -> Refused:
    """How the ledger names what could not be stored, and why."""
    reason = reason.replace("\0", "").encode(errors="replace").decode()[:_REASON_LENGTH]
    if isinstance(item, Contribution):
        return Refused(*item.key, item.spans, reason)
    fact = item.fact
    return Refused(bytes.fromhex(fact.trace_id), bytes.fromhex(fact.span_id), weight(fact), reason)


def kind_of(fact: LifecycleFact) -> str:
    """The word for its kind in tables and views: route, execution, tool_call, evaluation."""
    return _KINDS[type(fact)]


def decode_fact(kind: str, content: str) -> LifecycleFact:
    """The fact of that kind from its JSON. Raises msgspec.DecodeError."""
    return msgspec.json.decode(content, type=_FACT_TYPES[kind])
