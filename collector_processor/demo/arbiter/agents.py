"""The agents, and how one of them works on a task: step after step, every step counted.

Agents are rules, which stand for a model: each decision is one of its answers. Agents with a `price` behave towards the
accounts as a language model would: the words and marks that they read and write are counted as tokens, and paid for.
They are real counts of real text, but no model's.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from collector_processor.demo.arbiter.crafts import lookup, palette, repair, schedule, tables
from collector_processor.demo.arbiter.dialogue import Answer, Dialogue
from collector_processor.demo.arbiter.model import Observation, Result, Task, ToolCall, Turn
from collector_processor.demo.arbiter.policy import Delegate, Manner, Note, Policy, Report, Step, Use
from collector_processor.demo.arbiter.tools import Toolbox


class Desk(Protocol):
    """Where an agent hands on a part of its task."""

    def delegate(self, task: Task, part: Delegate) -> Observation:
        """Have the part done."""

    async def delegate_async(self, task: Task, part: Delegate) -> Observation:
        """Have the part done, under asyncio."""


def _repair(task: Task, manner: Manner) -> Policy:
    assert isinstance(task.assignment, repair.Repair)
    return repair.mend(task.assignment.problem, manner)


RULES: Mapping[str, Callable[[Task, Manner], Policy]] = {
    "code-editing": _repair,
    "research": lambda _, manner: lookup.look_up(manner),
    "data-analysis": lambda _, manner: tables.analyse(manner),
    "design": lambda _, manner: palette.colour(manner),
    "planning": lambda _, manner: schedule.plan(manner),
}


@dataclass(frozen=True, slots=True)
class Agent:
    """A worker.

    Attributes:
        capabilities: how good it says it is, 0..1 by type of task.
        price: US dollars for 1,000 tokens; None for an agent that counts none.
    """

    id: str
    name: str
    version: str
    model: str
    model_family: str
    provider: str
    manner: Manner
    capabilities: Mapping[str, float]
    price: float | None = None

    def capability(self, task_type: str) -> float:
        """How good the agent says it is at this type of task; 0.3 where it says nothing."""
        return self.capabilities.get(task_type, 0.3)

    def perform(self, task: Task, toolbox: Toolbox, desk: Desk) -> Result:
        """Work on a task to its end.

        Raises:
            Exception: whatever a tool raised that the agent has no answer to.
        """
        session = Session(self, task, toolbox)
        step = session.begin()
        while step is not None:
            reply = desk.delegate(task, step) if isinstance(step, Delegate) else toolbox.call(step)
            step = session.advance(reply)
        return session.result()

    async def perform_async(self, task: Task, toolbox: Toolbox, desk: Desk) -> Result:
        """Do the same without holding up the event loop."""
        session = Session(self, task, toolbox)
        step = session.begin()
        while step is not None:
            if isinstance(step, Delegate):
                reply = await desk.delegate_async(task, step)
            else:
                reply = await toolbox.call_async(step)
            step = session.advance(reply)
        return session.result()


def tokens(text: str) -> int:
    """Words and marks of a text."""
    return len(re.findall(r"\w+|[^\w\s]", text))


@dataclass(slots=True)
class Session:
    """One agent at one task: drives its rules and keeps the accounts."""

    agent: Agent
    task: Task
    toolbox: Toolbox
    policy: Policy = field(init=False)
    dialogue: Dialogue = field(init=False)
    report: Report | None = None
    turn: int = 0
    read: int = 0
    written: int = 0
    thought: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    badly_formed: int = 0
    turns: list[Turn] = field(default_factory=list)
    delegated: bool = False
    cpu_ms: float = 0.0

    def __post_init__(self) -> None:
        self.policy = RULES[self.task.type](self.task, self.agent.manner)
        self.read = tokens(self.task.description)
        self.dialogue = Dialogue(self.agent.provider, self.agent.model, self.task.description)

    def begin(self) -> ToolCall | Delegate | None:
        """Return the first call."""
        return self._next(None)

    def advance(self, reply: Observation) -> ToolCall | Delegate | None:
        """Take in what the last call brought; return the next call, or None at the end."""
        self.read += tokens(reply.text)
        self.dialogue.hear(reply.text)
        self.failed += not reply.success
        self.badly_formed += not reply.scores.format_correctness
        if self.delegated:
            self.turns.append(Turn(self.turn, reply.scores, reply.scores.reward))
        return self._next(reply)

    def _next(self, reply: Observation | None) -> ToolCall | Delegate | None:
        with self.dialogue.answer() as answer:
            step = self._decide(reply, answer)
            self.delegated = isinstance(step, Delegate)
            if isinstance(step, Report):
                self.report = step
                self.written += tokens(step.reflection)
                answer.says(step.reflection)
                return None
            call_id = f"call_{uuid.uuid4().hex[:12]}"
            if isinstance(step, Delegate):
                self.written += tokens(step.description)
                self.calls["delegate"] += 1
                answer.asks_for(call_id, "delegate", {"type": step.type, "description": step.description})
                return step
            answer.asks_for(call_id, step.tool, step.arguments)
            arguments = json.dumps(step.arguments)
            self.written += tokens(arguments)
            self.calls[f"{step.tool} {arguments}"] += 1
            return ToolCall(call_id, step.tool, self.turn, step.arguments)

    def _decide(self, reply: Observation | None, answer: Answer) -> Use | Delegate | Report:
        """Let the rules go on to what they want done, or to their end."""
        started = time.thread_time()
        try:
            step: Step = next(self.policy) if reply is None else self.policy.send(reply)
            self.turn += 1
            while isinstance(step, Note):
                self.thought += tokens(step.text)
                self.turns.append(Turn(self.turn))
                answer.thinks(step.text)
                step = next(self.policy)
                self.turn += 1
        except StopIteration as end:
            report: Report = end.value
            return report
        finally:
            self.cpu_ms += (time.thread_time() - started) * 1000
        return step

    def result(self) -> Result:
        """The agent's account; only after the last step."""
        assert self.report is not None
        counts = self.agent.price is not None
        output = self.written + self.thought
        calls = self.calls.total()
        looked = {call: count for call, count in self.calls.items() if not call.startswith("run_tests")}
        return Result(
            task_id=self.task.id,
            agent_id=self.agent.id,
            success=self.report.success,
            partial_success=self.report.partial_success,
            failure_reason=self.report.failure_reason,
            input_tokens=self.read if counts else None,
            output_tokens=output if counts else None,
            thinking_tokens=self.thought if counts else None,
            cost_usd=(self.read + output) / 1000 * self.agent.price if self.agent.price is not None else None,
            cpu_time_ms=self.cpu_ms + self.toolbox.cpu_ms,
            tool_calls=calls,
            failed_tool_calls=self.failed,
            repeated_tool_calls=sum(looked.values()) - len(looked),
            badly_formed_calls=self.badly_formed,
            turns=tuple(self.turns),
            reflection=self.report.reflection,
        )
