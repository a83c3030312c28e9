"""Group commit: nobody who gives up, fails or asks for too much stops the others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import pytest

from collector_processor.errors import JournalError, JournalFullError
from collector_processor.journal.commit import GroupCommit
from collector_processor.journal.environment import Environment
from collector_processor.journal.transaction import Transaction
from collector_processor.model.stages import HEADER, Fragment, FragmentFlag

SIZE = 1 << 20


@pytest.fixture
def commit(tmp_path: Path) -> Iterator[GroupCommit]:
    with Environment(tmp_path / "journal", SIZE) as environment:
        running = GroupCommit(environment)
        running.start()
        yield running
        running.stop()


@contextmanager
def busy(commit: GroupCommit) -> Iterator[Future[None]]:
    """The thread is in the middle of an operation, which this yields; what is submitted meanwhile is one group."""
    begun, go_on = threading.Event(), threading.Event()

    def wait(_: Transaction) -> None:
        begun.set()
        go_on.wait()

    first = commit.submit(wait)
    begun.wait()
    try:
        yield first
    finally:
        go_on.set()


def append(size: int = 5):
    headers = HEADER.pack(bytes(7) + b"\2", bytes(8), 1, size)
    return lambda transaction: transaction.append(Fragment(bytes(16), FragmentFlag.TASK, headers, bytes(size)), 1)


def fragments(commit: GroupCommit) -> int:
    return commit.submit(lambda transaction: len(list(transaction.fragments()))).result()


def test_who_gives_up_waiting_is_left_out_and_holds_nobody_up(commit: GroupCommit) -> None:
    with busy(commit):
        given_up, kept = commit.submit(append()), commit.submit(append())
        assert given_up.cancel()
    assert kept.result().sequence == 1
    assert fragments(commit) == 1


def test_nobody_can_give_up_what_is_under_way(commit: GroupCommit) -> None:
    with busy(commit) as first:
        assert not first.cancel()
    assert first.result() is None
    assert commit.submit(append()).result().sequence == 1


def failing(transaction: Transaction) -> None:
    append()(transaction)
    raise JournalFullError("no room")


def test_an_operation_that_fails_leaves_no_trace_and_the_others_go_on(commit: GroupCommit) -> None:
    with busy(commit):
        before, spoiler, after = (commit.submit(each) for each in (append(), failing, append()))
    assert (before.result().sequence, after.result().sequence) == (1, 2)
    assert str(spoiler.exception()) == "no room"
    assert fragments(commit) == commit.counters.open == 2


def test_a_full_map_grows_also_for_a_group_with_a_failure_in_it(commit: GroupCommit) -> None:
    with busy(commit):
        spoiler, large = commit.submit(failing), commit.submit(append(20 << 20))
    assert large.result().sequence == 1
    assert isinstance(spoiler.exception(), JournalFullError)
    assert (fragments(commit), commit.problem) == (1, None)


def test_after_an_error_that_nobody_foresaw_nothing_is_acknowledged_any_more(commit: GroupCommit) -> None:
    """Such an error in the index would let it differ from the disk."""

    def index(_: object) -> None:
        raise KeyError("not in the index")

    with busy(commit):
        spoiled, same_group = commit.submit(append(), index), commit.submit(append())
    assert isinstance(spoiled.exception(), JournalError)
    assert isinstance(same_group.exception(), JournalError)
    with pytest.raises(JournalError, match="start the processor again"):
        commit.submit(append()).result()
    assert commit.problem is not None
