"""Real trajectories, replayed as an arbiter would emit them, become data points that say what happened and no more.

The runs of tau-bench (airline, gpt-4o) go through the plugin's API, the real exporter, receiver, journal, workers and
store, and each record is compared with the run that it came from.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from support.processor import Processor, gates

from otel_benchmark import attributes as a
from otel_benchmark import evaluation, execution, task, tool_call
from otel_benchmark.environment import Settings
from otel_benchmark.runtime import RUNTIME

SHARED = Path(os.environ.get("OTEL_BENCHMARK_SHARED") or Path(__file__).parents[3] / "shared")
RUNS_FILE = SHARED / "data" / "tau-bench" / "gpt-4o-airline.json"

pytestmark = pytest.mark.skipif(
    not RUNS_FILE.is_file(), reason=f"{RUNS_FILE} is not here: OTEL_BENCHMARK_SHARED names the folder that holds data/"
)


class Step(NamedTuple):
    """One message of the agent: a tool call with its answer, or words (tool None)."""

    tool: str | None
    call_id: str | None = None
    arguments: str | None = None
    failed: bool = False


class Run(NamedTuple):
    """One attempt at one task of the benchmark."""

    number: int
    trial: int
    instruction: str
    reward: float
    steps: tuple[Step, ...]

    @property
    def task_id(self) -> str:
        return f"airline-{self.number}-{self.trial}"

    @property
    def calls(self) -> list[Step]:
        return [step for step in self.steps if step.tool is not None]


def read_runs() -> list[Run]:
    return [
        Run(run["task_id"], run["trial"], run["info"]["task"]["instruction"], run["reward"], tuple(steps(run["traj"])))
        for run in json.loads(RUNS_FILE.read_text(encoding="utf-8"))
    ]


def steps(messages: list[dict[str, Any]]) -> Iterator[Step]:
    answers = {message["tool_call_id"]: message["content"] for message in messages if message["role"] == "tool"}
    for message in messages:
        if message["role"] != "assistant":
            continue
        if not message.get("tool_calls"):
            yield Step(None)
        for call in message.get("tool_calls") or ():
            function = call["function"]
            failed = answers[call["id"]].startswith("Error")
            yield Step(function["name"], call["id"], function["arguments"], failed)


def replay(run: Run) -> None:
    """What an arbiter that has run this would have told the plugin's API."""
    with task(
        id=run.task_id,
        type="airline",
        description=run.instruction,
        group_id=f"airline-{run.number}",
        attempt=run.trial + 1,
    ) as whole:
        with execution(agent_id="gpt-4o-tools", agent_name="Airline agent", model="gpt-4o") as running:
            for number, step in enumerate(run.steps, start=1):
                if step.tool is None:
                    running.turn(number)
                    continue
                with tool_call(
                    name=step.tool, call_id=step.call_id, turn_number=number, arguments=step.arguments
                ) as call:
                    call.record(success=not step.failed)
            running.record(success=run.reward == 1.0)
        with evaluation(evaluator_name="tau-bench", evaluator_kind="rule") as judged:
            judged.record(overall_score=run.reward)
        whole.record(reward=run.reward)


class Replay(NamedTuple):
    """What was sent, and what is stored of it, by task id."""

    runs: list[Run]
    sent: tuple[ReadableSpan, ...]
    points: dict[str, dict[str, Any]]


def replayed(processor: Processor, protocol: str, service: str, settings: Settings) -> Replay:
    runs = read_runs()
    kept = InMemorySpanExporter()
    with processor.tracing(protocol, {a.SERVICE_NAME: service}, SimpleSpanProcessor(kept)) as provider:
        RUNTIME.configure(settings, provider)
        try:
            for run in runs:
                replay(run)
        finally:
            RUNTIME.configure()
    processor.settle()
    rows = processor.rows("SELECT * FROM data_points WHERE service_name = %(service)s", service=service)
    assert len(rows) == len(runs), "every run is exactly one data point"
    return Replay(runs, kept.get_finished_spans(), {row["task_id"]: row for row in rows})


@pytest.fixture(scope="module")
def plain(processor: Processor) -> Replay:
    return replayed(processor, "http", "plain", Settings())


@pytest.fixture(scope="module")
def with_content(processor: Processor) -> Replay:
    return replayed(processor, "grpc", "with-content", Settings(capture_content=True))


def test_the_runs_are_what_the_benchmark_published():
    runs = read_runs()
    assert len(runs) == 100
    assert sum(len(run.calls) for run in runs) == 572
    assert sum(len(run.steps) for run in runs) == 1229
    assert Counter(run.reward for run in runs) == {0.0: 57, 1.0: 43}


def test_every_run_has_its_own_turns(plain):
    for run in plain.runs:
        turns = plain.points[run.task_id]["record"]["rlLabels"]["turns"]
        assert [(turn["turnNumber"], turn["toolCalled"]) for turn in turns] == [
            (number, step.tool) for number, step in enumerate(run.steps, start=1)
        ]


def test_every_run_has_its_own_tools(plain):
    for run in plain.runs:
        used = plain.points[run.task_id]["record"]["execution"]["toolsUsed"]
        counts = Counter(step.tool for step in run.calls)
        failures = Counter(step.tool for step in run.calls if step.failed)
        assert {tool["toolName"]: tool["callCount"] for tool in used} == counts
        for tool in used:
            name = tool["toolName"]
            assert tool["successRate"] == pytest.approx((counts[name] - failures[name]) / counts[name])


def test_every_run_has_its_own_outcome_and_reward(plain):
    for run in plain.runs:
        point = plain.points[run.task_id]
        won = run.reward == 1.0
        failed = sum(step.failed for step in run.calls)
        assert (point["success"], point["final_outcome"]) == (won, "success" if won else "failure")
        assert (point["total_reward"], point["reward_version"]) == (run.reward, "reported")
        assert point["overall_score"] == run.reward
        assert point["tool_call_count"] == len(run.calls)
        assert point["tool_call_success_rate"] == (pytest.approx(1 - failed / len(run.calls)) if run.calls else None)
        assert (point["task_type"], point["group_id"], point["attempt"]) == (
            "airline",
            f"airline-{run.number}",
            run.trial + 1,
        )
        assert point["record"]["task"]["description"] == run.instruction
        assert point["record"]["execution"]["model"] == "gpt-4o"
        assert point["ended_by"] == "task_ended"


def test_what_the_runs_do_not_have_is_missing_and_said_to_be(plain):
    for point in plain.points.values():
        record = point["record"]
        assert point["completeness"] == ["task", "execution", "evaluation"]
        assert record["routing"] is None
        execution_ = record["execution"]
        assert [execution_[name] for name in UNREPORTED] == [None] * len(UNREPORTED)
        assert set(record["evaluation"]["rubricScores"].values()) == {None}
        assert record["evaluation"]["minimalDiffMetrics"] is None
        assert record["rlLabels"]["rewardTerms"] == []
        assert {turn[name] for turn in record["rlLabels"]["turns"] for name in TURN_SCORES} == {None}
        failed = gates(record)
        assert set(failed) == {"required-sections", "reported"}
        assert failed["required-sections"] == "routing is missing"
        assert failed["reported"] == "evaluation.rubricScores lack format, tool, task, minimal, cost, safety"
        assert (point["valid"], point["rl_ready"], point["state"]) == (False, False, "quarantined")
        assert record["facts"]["anomalies"] == []


UNREPORTED = (
    "provider",
    "partialSuccess",
    "failureReason",
    "tokensUsed",
    "inputTokens",
    "outputTokens",
    "thinkingTokens",
    "cachedTokens",
    "costUsd",
    "tokenEfficiency",
    "cpuTimeMs",
    "memoryPeakBytes",
)
TURN_SCORES = ("informationGain", "formatCorrectness", "taskProgress", "safetyScore", "turnReward")


def test_the_views_tell_the_same(plain, processor):
    counted = processor.rows(
        "SELECT tool_name, count(*), count(*) FILTER (WHERE NOT tool_calls.success) AS failed FROM tool_calls"
        " JOIN data_points USING (id) WHERE service_name = 'plain' GROUP BY tool_name"
    )
    calls = [step for run in plain.runs for step in run.calls]
    assert {row["tool_name"]: row["count"] for row in counted} == Counter(step.tool for step in calls)
    assert sum(row["failed"] for row in counted) == sum(step.failed for step in calls)
    (turns,) = processor.rows(
        "SELECT count(*), count(turns.tool_called) AS tools FROM turns JOIN data_points USING (id)"
        " WHERE service_name = 'plain'"
    )
    assert (turns["count"], turns["tools"]) == (1229, 572)
    (judged,) = processor.rows(
        "SELECT count(*), sum(evaluations.overall_score) AS won FROM evaluations JOIN data_points USING (id)"
        " WHERE service_name = 'plain' AND is_current AND evaluator_name = 'tau-bench'"
    )
    assert (judged["count"], judged["won"]) == (100, 43)


def test_arguments_leave_the_process_only_by_the_opt_in(plain, with_content):
    sent = [dict(span.attributes or {}) for span in plain.sent]
    assert not any(a.CONTENT_ATTRIBUTES & attributes.keys() for attributes in sent)
    arguments = [
        attributes[a.GEN_AI_TOOL_CALL_ARGUMENTS]
        for attributes in (span.attributes or {} for span in with_content.sent)
        if a.GEN_AI_TOOL_CALL_ARGUMENTS in attributes
    ]
    assert arguments == [step.arguments for run in with_content.runs for step in run.calls]


def test_content_changes_no_record(plain, with_content):
    for run in plain.runs:
        assert told(with_content.points[run.task_id]) == told(plain.points[run.task_id])


def told(point: Mapping[str, Any]) -> dict[str, Any]:
    """What a record says of its run, without times and identities."""
    record = point["record"]
    return {
        "task": record["task"],
        "turns": record["rlLabels"]["turns"],
        "outcome": record["rlLabels"]["finalOutcome"],
        "reward": record["rlLabels"]["totalReward"],
        "tools": [(tool["toolName"], tool["callCount"]) for tool in record["execution"]["toolsUsed"]],
        "verdict": record["verdict"],
    }


def test_no_task_was_lost_on_the_way(plain, with_content, processor):
    for each in (plain, with_content):
        numbers = sorted(point["record"]["provenance"]["emitter"]["sequence"] for point in each.points.values())
        assert numbers == list(range(numbers[0], numbers[0] + 100))
    spans = sum(len(each.sent) for each in (plain, with_content))
    journal = processor.terms()
    assert journal["received"] == journal["handed_over"] == spans
    processor.assert_balanced()
