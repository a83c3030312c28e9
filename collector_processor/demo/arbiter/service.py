"""The arbiter itself: takes a task, has it routed, done and evaluated, and answers with the outcome."""

from __future__ import annotations

import asyncio
import json
import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from collector_processor.demo.arbiter.agents import Agent
from collector_processor.demo.arbiter.crafts.tables import ANSWER
from collector_processor.demo.arbiter.evaluator import Evaluator
from collector_processor.demo.arbiter.model import (
    Changes,
    Evaluation,
    Observation,
    Outcome,
    Result,
    Task,
    TurnScores,
)
from collector_processor.demo.arbiter.policy import Delegate
from collector_processor.demo.arbiter.router import Router
from collector_processor.demo.arbiter.tools import Toolbox

log = logging.getLogger(__name__)

MOST_AGENTS = 2
"""How many agents try a task before it is given up."""


class TaskFailedError(Exception):
    """No agent could finish the task."""


class Arbiter:
    """Handles tasks in a folder of its own below `root`.

    What a finished task teaches about its agent is applied by `absorb`, in the order of task ids: so that tasks that
    run side by side teach the same whichever ends first.
    """

    def __init__(self, staff: Sequence[Agent], router: Router, evaluator: Evaluator, root: Path) -> None:
        self._agents = {agent.id: agent for agent in staff}
        self._router = router
        self._evaluator = evaluator
        self._root = root
        self._lessons: list[tuple[Task, str, bool, float]] = []
        self.handled = 0

    def handle(self, task: Task, *, review: bool = True) -> Outcome:
        """Do a task to its end; without `review` the evaluation is left for later.

        Raises:
            TaskFailedError: every agent that was asked raised.
        """
        self.handled += 1
        failed: list[str] = []
        while True:
            decision = self._router.route(task, failed)
            agent = self._agents[decision.selected.id]
            with self._toolbox(task) as toolbox:
                before = toolbox.files()
                try:
                    result = agent.perform(task, toolbox, self)
                except Exception as error:  # noqa: BLE001  an agent may raise anything; the next one is asked
                    self._note_failure(task, agent, error, failed)
                    continue
                outcome = Outcome(task, decision, result, Changes(before, toolbox.files()), None)
            return replace(outcome, evaluation=self.review(outcome)) if review else outcome

    async def handle_async(self, task: Task, *, review: bool = True) -> Outcome:
        """Do the same under asyncio, within the deadline for each agent.

        Raises:
            TaskFailedError: every agent that was asked raised, or didn't answer in time.
        """
        self.handled += 1
        failed: list[str] = []
        while True:
            decision = self._router.route(task, failed)
            agent = self._agents[decision.selected.id]
            with self._toolbox(task) as toolbox:
                before = toolbox.files()
                try:
                    async with asyncio.timeout(task.deadline_s):
                        result = await agent.perform_async(task, toolbox, self)
                except Exception as error:  # noqa: BLE001  an agent may raise anything; the next one is asked
                    self._note_failure(task, agent, error, failed)
                    continue
                outcome = Outcome(task, decision, result, Changes(before, toolbox.files()), None)
            if not review:
                return outcome
            return replace(outcome, evaluation=await asyncio.to_thread(self.review, outcome))

    def review(self, outcome: Outcome) -> Evaluation:
        """Evaluate finished work, now or later."""
        task, result = outcome.task, outcome.result
        evaluation = self._evaluator.evaluate(task, result, outcome.changes)
        done = result.success and evaluation.passed_all_mandatory
        self._lessons.append((task, result.agent_id, done, evaluation.overall_score))
        log.info("%s: %s by %s, %.2f", task.id, _word(result), result.agent_id, evaluation.overall_score)
        return evaluation

    def absorb(self) -> None:
        """Let the router learn from what was finished since the last time."""
        for task, agent_id, success, quality in sorted(self._lessons, key=lambda lesson: (lesson[0].id, lesson[1])):
            self._router.learn(task, agent_id, success=success, quality=quality)
        self._lessons.clear()

    def delegate(self, task: Task, part: Delegate) -> Observation:
        """Have a part of a task done as a task of its own."""
        try:
            return self._answer(self.handle(self._part(task, part)))
        except TaskFailedError as error:
            return self._no_answer(error)

    async def delegate_async(self, task: Task, part: Delegate) -> Observation:
        """Do the same under asyncio."""
        try:
            return self._answer(await self.handle_async(self._part(task, part)))
        except TaskFailedError as error:
            return self._no_answer(error)

    @contextmanager
    def _toolbox(self, task: Task) -> Iterator[Toolbox]:
        with tempfile.TemporaryDirectory(prefix=f"{task.type}-", dir=self._root) as folder:
            yield Toolbox(Path(folder), task.assignment.files())

    def _note_failure(self, task: Task, agent: Agent, error: Exception, failed: list[str]) -> None:
        log.info("%s: %s gave up, %s: %s", task.id, agent.id, type(error).__name__, error)
        self._lessons.append((task, agent.id, False, 0.0))
        failed.append(agent.id)
        if len(failed) == MOST_AGENTS:
            raise TaskFailedError(f"{' and '.join(failed)} could not finish task {task.id}") from error

    def _part(self, task: Task, part: Delegate) -> Task:
        return Task(
            id=f"{task.id}.1",
            type=part.type,
            complexity=part.complexity,
            description=part.description,
            assignment=part.assignment,
            requirements=task.requirements,
            tenant_id=task.tenant_id,
            conversation_id=task.conversation_id,
            parent_id=task.id,
        )

    def _answer(self, outcome: Outcome) -> Observation:
        answer = outcome.changes.after.get(ANSWER, "{}")
        return Observation(
            success=outcome.result.success,
            effective=outcome.result.success,
            text=answer,
            scores=TurnScores(1.0, 1.0, None, 1.0, outcome.evaluation.overall_score if outcome.evaluation else 0.0),
            data=json.loads(answer),
        )

    def _no_answer(self, error: TaskFailedError) -> Observation:
        return Observation(success=False, effective=False, text=str(error), scores=TurnScores(0.0, 1.0, None, 1.0, 0.0))


def _word(result: Result) -> str:
    return "done" if result.success else "half done" if result.partial_success else "not done"
