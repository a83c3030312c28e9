"""How the state comes about: tallies add up to a window, and a window that is over sets the thresholds of the next.

A threshold thus depends on nothing but what was counted before it held; it is sealed with each batch, so whoever
applies the batch, and however often, decides by the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from heapq import nlargest
from typing import Final, TypeVar

import msgspec

from collector_processor.model.sampling import (
    MAX_SEEN,
    MAX_STRATA,
    Facet,
    SamplingMemory,
    SamplingState,
    Spent,
    Tally,
)
from collector_processor.sample.conditions import first_of
from collector_processor.sample.policies import HOUR, EachStratum, Rate, SamplingConfig, Unit

_Key = TypeVar("_Key")

MAX_RUNNING: Final = 8 * MAX_STRATA
"""Strata that are counted in a running window, before the smallest half of them goes."""


def advance(memory: SamplingMemory, tallies: Iterable[Tally], config: SamplingConfig, now: int) -> SamplingMemory:
    """Take in what was seen, and set new thresholds where the window is over. `now` is in nanoseconds.

    First tasks of agents and tools count at once, all else at the window's end. A window over which nobody advanced
    (the processor didn't run, or there was nothing to do) counts as twice its length at most.
    """
    since = min(memory.since or now, now)
    running = total([memory.running, *tallies])
    running, dropped = _bounded(running, memory.dropped)
    state = msgspec.structs.replace(memory.state, seen=_seen(memory.state.seen, running.seen, config))
    running = msgspec.structs.replace(running, seen={})
    if now - since < config.window:
        return SamplingMemory(state, since, running, dropped, memory.costs)
    hours = min(now - since, 2 * config.window) / HOUR
    costs = memory.costs | {facet: spent for facet, spent in running.spent.items() if spent.samples}
    strata, rest = _largest(running.strata, config, hours)
    state = SamplingState(
        thresholds=_thresholds(config, running.matched, costs, hours),
        hours=hours,
        strata=strata,
        rest=max(rest, dropped),
        seen=state.seen,
    )
    return SamplingMemory(state, now, Tally(), 0, costs)


def total(tallies: Iterable[Tally]) -> Tally:
    """Add tallies up."""
    tasks = 0
    kept: dict[Facet, int] = {}
    matched: dict[str, int] = {}
    strata: dict[int, int] = {}
    seen: dict[int, int] = {}
    spent: dict[Facet, Spent] = {}
    for tally in tallies:
        tasks += tally.tasks
        _add(kept, tally.kept)
        _add(matched, tally.matched)
        _add(strata, tally.strata)
        _add(seen, tally.seen)
        for facet, more in tally.spent.items():
            so_far = spent.get(facet, Spent())
            spent[facet] = Spent(so_far.samples + more.samples, so_far.bytes + more.bytes, so_far.calls + more.calls)
    return Tally(tasks, kept, matched, strata, seen, spent)


def _add(counts: dict[_Key, int], more: Mapping[_Key, int]) -> None:
    for key, count in more.items():
        counts[key] = counts.get(key, 0) + count


def _bounded(running: Tally, dropped: int) -> tuple[Tally, int]:
    """Drop the smallest strata where there are too many; what they had at most is remembered."""
    if len(running.strata) <= MAX_RUNNING:
        return running, dropped
    strata = dict(nlargest(MAX_RUNNING // 2, running.strata.items(), key=_by_count))
    dropped = max(dropped, *(count for stratum, count in running.strata.items() if stratum not in strata))
    return msgspec.structs.replace(running, strata=strata), dropped


def _seen(before: Mapping[int, int], more: Mapping[int, int], config: SamplingConfig) -> dict[int, int]:
    """Count agents and tools up to the number that policies ask for; in a full table nobody new finds a place."""
    enough = max([0, *(first_of(policy.when) for policy in config.policies)])
    seen = dict(before) if enough else {}
    for name, count in more.items() if enough else ():
        if name in seen or len(seen) < MAX_SEEN:
            seen[name] = min(enough, seen.get(name, 0) + count)
    return seen


def _largest(strata: Mapping[int, int], config: SamplingConfig, hours: float) -> tuple[dict[int, int], int]:
    """Return the strata that some policy has to hold back, and what the largest of them without a place has."""
    wanted = [policy.rule.per_hour * hours for policy in config.policies if isinstance(policy.rule, EachStratum)]
    if not wanted:
        return {}, 0
    many = [item for item in strata.items() if item[1] > min(wanted)]
    ordered = nlargest(MAX_STRATA + 1, many, key=_by_count)
    return dict(ordered[:MAX_STRATA]), ordered[-1][1] if len(ordered) > MAX_STRATA else 0


def _thresholds(
    config: SamplingConfig, matched: Mapping[str, int], costs: Mapping[Facet, Spent], hours: float
) -> dict[str, float]:
    return {
        policy.key: policy.rule.threshold(
            matched.get(policy.key, 0),
            hours,
            _cost(policy.rule.unit, costs.get(policy.facet, config.costs[policy.facet])),
        )
        for policy in config.policies
        if isinstance(policy.rule, Rate)
    }


def _cost(unit: Unit, spent: Spent) -> float:
    """Return what one sample costs in a unit."""
    match unit:
        case Unit.BYTES:
            return spent.bytes / spent.samples
        case Unit.CALLS:
            return spent.calls / spent.samples
    return 1.0


def _by_count(item: tuple[int, int]) -> tuple[int, int]:
    stratum, count = item
    return count, stratum
