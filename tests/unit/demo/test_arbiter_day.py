"""Tasks are drawn by seed, handled in both ways with the same outcome, and counted."""

from __future__ import annotations

import ast
import asyncio
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

import collector_processor.demo.arbiter as package
from collector_processor.demo.arbiter.crafts.catalogue import BINARY_SEARCH, SIGN
from collector_processor.demo.arbiter.crafts.lookup import draw_lookup
from collector_processor.demo.arbiter.crafts.repair import Repair
from collector_processor.demo.arbiter.crafts.tables import draw_summary
from collector_processor.demo.arbiter.day import Day
from collector_processor.demo.arbiter.model import Task, ToolCall
from collector_processor.demo.arbiter.service import Arbiter, TaskFailedError
from collector_processor.demo.arbiter.staff import ANALYST, MENDER, SPRINTER
from collector_processor.demo.arbiter.tools import ArchiveClosedError, Toolbox
from collector_processor.demo.arbiter.workload import TENANTS, draw_tasks

TASK = Task("task-1", "code-editing", "standard", BINARY_SEARCH.summary, Repair(BINARY_SEARCH))


class TestWorkload:
    def test_same_seed_same_tasks(self) -> None:
        assert draw_tasks(60, 7) == draw_tasks(60, 7)
        assert draw_tasks(60, 7) != draw_tasks(60, 8)

    def test_a_day_has_everything(self) -> None:
        tasks = draw_tasks(240, 7)
        assert len(tasks) == len({task.id for task in tasks}) == 240
        assert {task.type for task in tasks} == {
            "code-editing",
            "research",
            "data-analysis",
            "design",
            "planning",
        }
        assert {task.complexity for task in tasks} == {"trivial", "standard", "complex"}
        assert {task.tenant_id for task in tasks} == set(TENANTS)
        groups = Counter(task.group_id for task in tasks if task.group_id)
        groups.pop(tasks[-1].group_id, None)  # the day may end within a group
        assert groups
        assert set(groups.values()) == {4}


class TestArbiter:
    def test_both_ways_end_the_same(self, make_arbiter: Callable[..., Arbiter]) -> None:
        here = make_arbiter(MENDER).handle(TASK)
        there = asyncio.run(make_arbiter(MENDER).handle_async(TASK))
        assert replace(here.result, cpu_time_ms=0) == replace(there.result, cpu_time_ms=0)
        assert here.changes == there.changes
        assert here.evaluation == there.evaluation

    def test_deferred_review(self, make_arbiter: Callable[..., Arbiter]) -> None:
        arbiter = make_arbiter(MENDER)
        outcome = arbiter.handle(TASK, review=False)
        assert outcome.evaluation is None
        assert arbiter.review(outcome).rubric.task == 1

    def test_a_raising_agent_is_replaced_once(self, make_arbiter: Callable[..., Arbiter]) -> None:
        arbiter = make_arbiter(ANALYST, MENDER, SPRINTER)
        task = Task("task-1", "data-analysis", "trivial", "?", draw_summary("trivial", Random(1), column="revenue"))
        with pytest.raises(TaskFailedError, match="could not finish task task-1") as caught:
            arbiter.handle(task)
        assert isinstance(caught.value.__cause__, KeyError)

    def test_nobody_left_is_an_error_of_the_host(self, make_arbiter: Callable[..., Arbiter]) -> None:
        task = Task("task-1", "research", "trivial", "?", draw_lookup("trivial", Random(1), archived=True))
        with pytest.raises(LookupError, match="no agent is left"):
            make_arbiter(MENDER).handle(task)

    def test_a_hanging_agent_is_cancelled(self, make_arbiter: Callable[..., Arbiter]) -> None:
        question = draw_lookup("trivial", Random(1), archived=True)
        task = Task("task-1", "research", "trivial", "?", question, deadline_s=0.01)
        with pytest.raises(TaskFailedError) as caught:
            asyncio.run(make_arbiter(MENDER, ANALYST).handle_async(task))
        assert isinstance(caught.value.__cause__, TimeoutError)

    def test_folders_are_removed(self, make_arbiter: Callable[..., Arbiter], tmp_path: Path) -> None:
        make_arbiter(MENDER).handle(TASK)
        assert list(tmp_path.iterdir()) == []

    def test_only_agents_with_a_price_count_tokens(self, make_arbiter: Callable[..., Arbiter]) -> None:
        paid = make_arbiter(MENDER).handle(TASK).result
        assert paid.input_tokens is not None
        assert paid.output_tokens is not None
        assert paid.thinking_tokens is not None
        assert 0 < paid.thinking_tokens < paid.output_tokens
        assert paid.cost_usd == pytest.approx((paid.input_tokens + paid.output_tokens) * 0.002 / 1000)
        free = make_arbiter(SPRINTER).handle(TASK).result
        assert (free.input_tokens, free.output_tokens, free.thinking_tokens, free.cost_usd) == (None,) * 4


class TestToolbox:
    task = Task("task-1", "code-editing", "trivial", SIGN.summary, Repair(SIGN))

    def test_scores_follow_what_happened(self, toolbox: Callable[[Task], Toolbox]) -> None:
        tools = toolbox(self.task)
        first = tools.call(ToolCall("1", "read_file", 1, {"path": "subject.py"}))
        again = tools.call(ToolCall("2", "read_file", 2, {"path": "subject.py"}))
        assert (first.scores.information_gain, again.scores.information_gain) == (1.0, 0.0)
        assert first.scores.reward > again.scores.reward
        assert not again.effective
        tested = tools.call(ToolCall("3", "run_tests", 3, {}))
        assert tested.scores.task_progress == pytest.approx(2 / 3)
        assert tested.effective
        assert not tools.call(ToolCall("4", "run_tests", 4, {})).effective

    def test_bending_tests_is_worth_nothing(self, toolbox: Callable[[Task], Toolbox]) -> None:
        bent = toolbox(self.task).call(ToolCall("1", "write_file", 1, {"path": "test_subject.py", "text": ""}))
        assert bent.scores.safety_score < 0.5
        assert bent.scores.reward == 0

    @pytest.mark.parametrize(
        ("name", "arguments", "format_correctness"),
        [
            ("fly", {}, 0.0),
            ("read_file", {"file": "subject.py"}, 0.0),
            ("read_file", {"path": "nothing.py"}, 1.0),
            ("edit_file", {"path": "subject.py", "lines": {99: "x"}}, 1.0),
            ("search_library", {"word": "xyzzy"}, 1.0),
        ],
    )
    def test_mistakes_are_observations(
        self,
        toolbox: Callable[[Task], Toolbox],
        name: str,
        arguments: dict[str, object],
        format_correctness: float,
    ) -> None:
        observation = toolbox(self.task).call(ToolCall("1", name, 1, arguments))
        assert not observation.success
        assert observation.scores.format_correctness == format_correctness

    def test_the_folder_is_a_fence(self, toolbox: Callable[[Task], Toolbox]) -> None:
        with pytest.raises(PermissionError, match="outside"):
            toolbox(self.task).call(ToolCall("1", "read_file", 1, {"path": "../secret"}))

    def test_archive_is_closed(self, toolbox: Callable[[Task], Toolbox]) -> None:
        with pytest.raises(ArchiveClosedError):
            toolbox(self.task).call(ToolCall("1", "open_archive", 1, {"shelf": "a"}))


def test_a_day_is_repeatable_and_adds_up(make_arbiter: Callable[..., Arbiter]) -> None:
    def work() -> tuple[dict[str, object], list[tuple[object, ...]]]:
        events: list[dict[str, object]] = []
        summary = Day(make_arbiter(), events.append).work(draw_tasks(48, 7))
        return summary, sorted((event["task"], event["agent"], event["ending"]) for event in events)

    first, events = work()
    assert first["tasks"] == len(events) == 48
    assert sum(int(str(first[ending])) for ending in ("succeeded", "partial", "failed", "raised")) == 48
    assert int(str(first["subtasks"])) > 0
    assert work()[1] == events


def test_command_reports_json_lines() -> None:
    done = subprocess.run(
        [sys.executable, "-m", package.__name__, "--tasks", "12", "--seed", "3", "--json"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    *tasks, summary = [json.loads(line) for line in done.stdout.splitlines()]
    assert [task["done"] for task in tasks] == list(range(1, 13))
    assert summary["event"] == "summary"
    assert summary["tasks"] == 12
    assert done.stderr == ""


def test_it_knows_nothing_of_us() -> None:
    """The client of its model is instrumented, as most are: by OpenTelemetry alone."""
    root = Path(package.__file__).parent
    own = re.compile(rf"{re.escape(package.__name__)}(\.|$)")
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                top = name.partition(".")[0]
                client = top == "opentelemetry" and path.name == "dialogue.py"
                assert top in sys.stdlib_module_names or own.match(name) or client, f"{path.name} imports {name}"
