"""Vocabulary of tail sampling: which deep facets of a task are kept, and what that was decided by.

A worker decides by a point and the `SamplingState` that its batch was sealed with, and tells in a `Tally` what it saw.
The front adds tallies up in its `SamplingMemory`, and makes the next state of it. All of them are bounded in size.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from collector_processor.model.record import FacetSampling

MAX_STRATA: Final = 256
"""Strata that a state lists one by one."""
MAX_SEEN: Final = 1024
"""Agents and tools that a state remembers as seen."""


class Facet(StrEnum):
    """What may be analysed deeply, in the order in which a record lists it."""

    CONVERSATION = "conversation"
    AST = "ast"
    JUDGE = "judge"
    REFLECTION = "reflection"


class Choice(msgspec.Struct, frozen=True, gc=False):
    """What was decided about one facet of one task.

    `probability` is the largest threshold of the policies that matched, and `policy` the one that has it. `adaptive`
    tells that this threshold follows what earlier draws have cost: estimates stay unbiased, but it is no constant.
    `added` tells that the facet is kept now and wasn't before: its analysis is to be done.
    """

    facet: Facet
    kept: bool
    added: bool
    probability: float
    policy: str
    adaptive: bool


class Decision(msgspec.Struct, frozen=True, gc=False):
    """What was decided about one task: a choice for each facet that a policy matched or that was kept before.

    `matched` names the policies with a rate, a budget or strata that the task counts for, as `facet/policy`.
    """

    choices: tuple[Choice, ...]
    matched: tuple[str, ...]

    @property
    def kept(self) -> tuple[FacetSampling, ...]:
        """The kept facets in the record's form."""
        return tuple([FacetSampling(each.facet, each.probability, each.policy) for each in self.choices if each.kept])

    @property
    def added(self) -> tuple[Facet, ...]:
        """Facets to be analysed now."""
        return tuple([each.facet for each in self.choices if each.added])


class SamplingState(msgspec.Struct, frozen=True, array_like=True):
    """What policies know of the time before a batch was sealed: about 20 KiB at most, some hundred bytes as a rule.

    Strata (agent, task type and outcome), agents and tools are 56-bit hashes.
    """

    thresholds: dict[str, float] = {}
    """`facet/policy` → probability that a rate or a budget leaves in this window."""
    hours: float = 0.0
    """How long the window was that `strata` were counted in; 0: none has ended yet."""
    strata: dict[int, int] = {}
    """Stratum → its tasks in that window: the largest ones, at most MAX_STRATA."""
    rest: int = 0
    """No stratum that isn't listed had more tasks than this."""
    seen: dict[int, int] = {}
    """Agent or tool → tasks so far, up to the number that policies ask for; at most MAX_SEEN."""


class Spent(msgspec.Struct, frozen=True, array_like=True):
    """What analyses have cost: how many there were, their bytes as stored, and calls of a model."""

    samples: int = 0
    bytes: int = 0
    calls: int = 0


class Tally(msgspec.Struct, frozen=True, array_like=True):
    """What a batch, or some analyses, have to add to what the policies know. Tallies add up in any order."""

    tasks: int = 0
    kept: dict[Facet, int] = {}
    """Facet → samples that were added."""
    matched: dict[str, int] = {}
    """`facet/policy` → tasks that it matched, kept or not."""
    strata: dict[int, int] = {}
    seen: dict[int, int] = {}
    spent: dict[Facet, Spent] = {}
    """Facet → cost of analyses that have ended."""


class SamplingMemory(msgspec.Struct, frozen=True, array_like=True):
    """What the front keeps: the state that is sealed into batches now, and the account of the window that runs."""

    state: SamplingState = SamplingState()
    since: int = 0
    """When the running window began, in nanoseconds; 0: it begins with the first tally."""
    running: Tally = Tally()
    dropped: int = 0
    """No stratum that the running account had no room for had more tasks than this."""
    costs: dict[Facet, Spent] = {}
    """Facet → cost in the last window in which analyses ended."""


class Admitted(msgspec.Struct, frozen=True, array_like=True):
    """What the hard cap counts: facet → minute since the epoch → analyses that were let through in it."""

    minutes: dict[Facet, dict[int, int]] = {}
