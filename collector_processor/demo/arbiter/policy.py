"""What an agent may do next, and in which manner: the language between an agent's rules and whoever runs them.

An agent's rules for a craft are a generator: it yields a step, receives the observation, and returns a report. So
the same rules run in a plain call and under asyncio, and every step they take is seen and counted by their runner.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

from collector_processor.demo.arbiter.model import Assignment, Observation


@dataclass(frozen=True, slots=True)
class Use:
    """Call a tool."""

    tool: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Note:
    """Think aloud: a turn without a tool."""

    text: str


@dataclass(frozen=True, slots=True)
class Delegate:
    """Hand a part of the task to whomever the router finds best at it."""

    type: str
    complexity: str
    description: str
    assignment: Assignment


@dataclass(frozen=True, slots=True)
class Report:
    """The agent's own account at the end."""

    success: bool
    partial_success: bool = False
    failure_reason: str | None = None
    reflection: str = ""


Step = Use | Note | Delegate
Policy = Generator[Step, Observation, Report]


@dataclass(frozen=True, slots=True)
class Manner:
    """How an agent goes about each craft: its skill.

    Attributes:
        patience: how many repairs it tries before it gives up.
        repertoire: names of the repairs that it knows (`crafts.repair.REPERTOIRES`).
        rewrites: writes whole files anew instead of changing lines.
        bends_tests: out of patience, it removes the test that fails.
        ranking: how it ranks documents: `weighted`, `counted` or `first`.
        cleans: what it does about bad rows: `thoroughly`, `partly` or `not at all`.
        scheduling: `longest path`, `any order` or `as listed`.
        colouring: `bisect`, `extremes` or `one step`.
        delegates: hands on what somebody else does better.
    """

    patience: int
    repertoire: str
    ranking: str
    cleans: str
    scheduling: str
    colouring: str
    rewrites: bool = False
    bends_tests: bool = False
    delegates: bool = False
