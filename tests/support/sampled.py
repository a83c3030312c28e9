"""Records for tests of tail sampling: one a kind of task, and copies of it under ids of their own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import msgspec

from collector_processor.model.facts import Agent
from collector_processor.model.record import BenchmarkDataPoint, FacetSampling, Outcome
from collector_processor.sample import SamplingConfig, read_document
from support.facts import execution, revise, task, whole

_OUTCOMES = {
    Outcome.SUCCESS: {"success": True, "partial_success": False},
    Outcome.FAILURE: {"success": False, "partial_success": False},
    Outcome.PARTIAL: {"success": True, "partial_success": True},
    None: {"success": None, "partial_success": None},
}


def record(
    number: int = 1,
    *,
    type: str = "code-editing",  # noqa: A002 - the record's own name for it
    complexity: str = "standard",
    agent: str = "alpha",
    outcome: Outcome | None = Outcome.SUCCESS,
    score: float | None = 0.75,
    **more: Any,
) -> BenchmarkDataPoint:
    """A folded and judged record; `more` goes to its facts."""
    facts = whole()
    (evaluation,) = facts.evaluations
    fields = {
        "task": task(type=type, complexity=complexity),
        "executions": (execution(agent=Agent(agent), **_OUTCOMES[outcome]),),
        "evaluations": (msgspec.structs.replace(evaluation, overall_score=score),),
    } | more
    return revise(identity(number), msgspec.structs.replace(facts, **fields), 1).point


def identity(number: int) -> uuid.UUID:
    return uuid.UUID(int=number)


def copies(point: BenchmarkDataPoint, numbers: Iterator[int] | range) -> Iterator[BenchmarkDataPoint]:
    """The same task under other ids."""
    for number in numbers:
        yield msgspec.structs.replace(point, id=identity(number))


def kept_before(point: BenchmarkDataPoint, *facets: FacetSampling) -> BenchmarkDataPoint:
    """The record with facets that an earlier decision kept."""
    return msgspec.structs.replace(point, sampling=msgspec.structs.replace(point.sampling, facets=facets))


def config(text: str) -> SamplingConfig:
    return read_document(text, "test.toml")
