"""What the front remembers for sampling: durable, moved with its batches, bounded by the cap."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from support.sampled import config, record

from collector_processor.app.policies import Choosing, Policies, possible, state_of
from collector_processor.journal.commit import GroupCommit
from collector_processor.journal.environment import Environment
from collector_processor.journal.transaction import Transaction
from collector_processor.model.sampling import Facet, SamplingState, Tally

T = TypeVar("T")
HOUR = 3600 * 10**9
NOON = 500_000 * HOUR
CONFIG = config("""
    [[ast]]
    name = "ten an hour"
    per_hour = 10
    initially = 0.5
    [[judge]]
    name = "all"
    always = true
    [cap]
    ast = 2
""")


def run(folder: Path, *operations: Callable[[Transaction], T]) -> list[T]:
    """Each in a commit of its own."""
    with Environment(folder, 1 << 20) as environment:
        commit = GroupCommit(environment)
        commit.start()
        try:
            return [commit.submit(operation).result() for operation in operations]
        finally:
            commit.stop()


def test_what_was_learnt_survives_a_restart_and_sets_the_next_window(tmp_path: Path) -> None:
    policies = Policies(CONFIG)
    seen = Tally(tasks=99, matched={"ast/ten an hour": 99})
    run(tmp_path, lambda transaction: policies.learn(transaction, [seen], NOON))
    later = Tally(tasks=1)
    (before, _, state) = run(
        tmp_path, state_of, lambda transaction: policies.learn(transaction, [later], NOON + HOUR), state_of
    )
    assert before == SamplingState()
    assert state is not None
    assert state.thresholds == {"ast/ten an hour": pytest.approx(0.1)}


def test_nothing_learnt_changes_nothing(tmp_path: Path) -> None:
    def learn(transaction: Transaction) -> int:
        Policies(CONFIG).learn(transaction, [Tally()], NOON)
        return transaction.changes

    assert run(tmp_path, learn) == [0]


def test_the_cap_of_an_hour_holds_over_a_restart(tmp_path: Path) -> None:
    policies = Policies(CONFIG)

    def admit(facet: Facet, now: int) -> Callable[[Transaction], bool]:
        return lambda transaction: policies.admit(transaction, facet, now)

    assert run(tmp_path, admit(Facet.AST, NOON), admit(Facet.JUDGE, NOON)) == [True, True]
    assert run(tmp_path, admit(Facet.AST, NOON + 1), admit(Facet.AST, NOON + 2)) == [True, False]
    assert run(tmp_path, admit(Facet.AST, NOON + 2 * HOUR)) == [True]


def test_the_state_of_the_seal_decides() -> None:
    choosing = Choosing(CONFIG)
    point = record()
    few = choosing.choosing(SamplingState(thresholds={"ast/ten an hour": 1e-12}))(point, None)
    all_ = choosing.choosing(SamplingState(thresholds={"ast/ten an hour": 1.0}))(point, None)
    assert (few.added, all_.added) == ((Facet.JUDGE,), (Facet.AST, Facet.JUDGE))
    assert [each.facet for each in all_.point.sampling.facets] == ["ast", "judge"]
    assert choosing.total([few.tally, all_.tally]).kept == {Facet.JUDGE: 2, Facet.AST: 1}
    again = choosing.choosing(SamplingState())(all_.point, all_.point)
    assert again.added == ()


def test_without_a_judge_none_of_its_policies_is_left() -> None:
    assert possible(CONFIG, judging=True) == CONFIG
    assert {policy.facet for policy in possible(CONFIG, judging=False).policies} == {Facet.AST}
