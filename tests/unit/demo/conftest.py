"""An arbiter at work in a temporary folder, and its parts alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from collector_processor.demo.arbiter.agents import Agent
from collector_processor.demo.arbiter.crafts.repair import Repair
from collector_processor.demo.arbiter.evaluator import Evaluator
from collector_processor.demo.arbiter.model import Changes, Evaluation, Result, Task
from collector_processor.demo.arbiter.router import Router
from collector_processor.demo.arbiter.service import Arbiter
from collector_processor.demo.arbiter.staff import STAFF
from collector_processor.demo.arbiter.tools import Toolbox


@pytest.fixture
def evaluator() -> Evaluator:
    return Evaluator(b"a key of the test")


@pytest.fixture
def make_arbiter(tmp_path: Path, evaluator: Evaluator) -> Callable[..., Arbiter]:
    """An arbiter whose router knows only these agents, so that one of them gets the task."""

    def make(*staff: Agent, seed: int = 1) -> Arbiter:
        agents = staff or STAFF
        return Arbiter(agents, Router(agents, seed), evaluator, tmp_path)

    return make


@pytest.fixture
def toolbox(tmp_path: Path) -> Callable[[Task], Toolbox]:
    def make(task: Task) -> Toolbox:
        folder = tmp_path / f"folder-of-{task.id}"
        folder.mkdir()
        return Toolbox(folder, task.assignment.files())

    return make


@pytest.fixture
def judge(evaluator: Evaluator) -> Callable[..., Evaluation]:
    """Evaluate a code-editing task whose files became these, with the accounts given."""

    def evaluate(assignment: Repair, after: dict[str, str], **accounts: Any) -> Evaluation:
        complexity = assignment.problem.complexity
        task = Task("task-1", "code-editing", complexity, assignment.problem.summary, assignment)
        plain: dict[str, Any] = {
            "task_id": task.id,
            "agent_id": "mender",
            "success": True,
            "partial_success": False,
            "failure_reason": None,
            "input_tokens": None,
            "output_tokens": None,
            "thinking_tokens": None,
            "cost_usd": None,
            "cpu_time_ms": 1.0,
            "tool_calls": 5,
            "failed_tool_calls": 0,
            "repeated_tool_calls": 0,
            "badly_formed_calls": 0,
            "turns": (),
            "reflection": "",
        }
        return evaluator.evaluate(task, Result(**plain | accounts), Changes(assignment.files(), after))

    return evaluate
