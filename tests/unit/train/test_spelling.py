"""One spelling for what means the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector_processor.model.record import ToolUse
from collector_processor.train.spelling import as_listed, bandit_move, tool_name, united
from otel_benchmark.attributes import Strategy, TaskType


@pytest.mark.parametrize(
    ("given_as", "meant"),
    [
        ("multi-armed-bandit", "multi-armed-bandit"),
        ("multi_armed_bandit", "multi-armed-bandit"),
        ("Multi Armed Bandit", "multi-armed-bandit"),
        ("multiArmedBandit", "multi-armed-bandit"),
        (" LOAD_BALANCE ", "load-balance"),
        ("Fallback", "fallback"),
        ("roundRobin", "roundRobin"),
        ("", ""),
        (None, None),
    ],
)
def test_a_value_of_a_list(given_as: str | None, meant: str | None) -> None:
    assert as_listed(given_as, Strategy) == meant


def test_a_list_may_be_spelt_as_it_likes() -> None:
    assert as_listed("code review", {"Code_Review", *TaskType}) == "Code_Review"


@pytest.mark.parametrize(
    ("strategy", "parts"),
    [
        ("multi_armed_bandit_explore", ("multi-armed-bandit", True)),
        ("multiArmedBandit-exploit", ("multi-armed-bandit", False)),
        ("multi_armed_bandit", ("multi_armed_bandit", None)),
        ("do-explore", ("do-explore", None)),
        (None, (None, None)),
    ],
)
def test_a_move_of_a_bandit(strategy: str | None, parts: tuple[str | None, bool | None]) -> None:
    assert bandit_move(strategy) == parts


@pytest.mark.parametrize(
    ("name", "snake"),
    [
        ("read_file", "read_file"),
        ("readFile", "read_file"),
        ("Read File", "read_file"),
        ("read-file", "read_file"),
        (" read - file ", "read_file"),
        ("ReadHTTPPage", "read_http_page"),
        ("mcp__git__status", "mcp__git__status"),
        ("files.readFile", "files.read_file"),
        ("\uff52ead", "read"),
        (None, None),
    ],
)
def test_a_tool(name: str | None, snake: str | None) -> None:
    assert tool_name(name) == snake


@given(st.text(max_size=20))
def test_doing_it_again_changes_nothing(text: str) -> None:
    once = tool_name(text)
    assert tool_name(once) == once
    assert as_listed(as_listed(text, Strategy), Strategy) == as_listed(text, Strategy)


def test_one_tool_is_one_entry_weighted_by_its_calls() -> None:
    uses = (
        ToolUse("runTests", 3, 1.0, None, 300.0),
        ToolUse("read_file", 2, None, 0.5, 10.0),
        ToolUse("run_tests", 1, 0.0, 1.0, 100.0),
        ToolUse("run-tests", 4, None, None, 0.0),
    )
    assert united(uses) == (
        ToolUse("read_file", 2, None, 0.5, 10.0),
        ToolUse("run_tests", 8, 0.75, 1.0, 125.0),
    )
