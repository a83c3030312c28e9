"""Deep samples through the real processor: decided, analysed by its own processes, stored once, erased, weighed."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from support.lifecycle import MS, T0, evaluation, execution, model_call, task, tool_call
from support.logs import evaluated
from support.model_endpoint import VOTE, ModelEndpoint, Reply
from support.processor import Own, Processor, own, wait_for_end, wait_until

from otel_benchmark import attributes as a

EMAIL = "ada.lovelace@corp-mail.com"
PATCH = """\
--- a/sort.py
+++ b/sort.py
@@ -1,2 +1,4 @@
 def ordered(items):
-    return items
+    if items:
+        return sorted(items)
+    return []
"""
ALL = "".join(f'[[{facet}]]\nname = "all"\nalways = true\n' for facet in ("conversation", "ast", "judge", "reflection"))
Start = Callable[..., Processor]


def whole() -> list[Span]:
    """A task with everything that there is to be looked at, and an address in all of it."""
    talk = [
        {"role": "user", "parts": [{"type": "text", "content": f"Sort the list of {EMAIL}"}]},
        {"role": "assistant", "parts": [{"type": "text", "content": "Sorted."}]},
    ]
    said = {a.GEN_AI_INPUT_MESSAGES: json.dumps(talk[:1]), a.GEN_AI_OUTPUT_MESSAGES: json.dumps(talk[1:])}
    done = {a.DIFF_PATCH: PATCH, a.SELF_REFLECTION: f"I told {EMAIL} too late.", a.EXECUTION_SUCCESS: True}
    spans = [
        task(attributes={a.TASK_DESCRIPTION: "Sort"}),
        execution(attributes=done),
        model_call(5, attributes=said),
        tool_call(),
        evaluation(),
    ]
    for span in spans:  # of now: the status tells the last 24 hours
        span.start_time_unix_nano += time.time_ns() - 2000 * MS - T0
        span.end_time_unix_nano += time.time_ns() - 2000 * MS - T0
    return spans


@pytest.fixture
def policies(tmp_path: Path) -> Callable[[str], str]:
    """Writes a document of policies; its path."""

    def write(text: str) -> str:
        path = tmp_path / "policies.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


class Judge:
    """A model's endpoint whose answers wait until they are let go."""

    def __init__(self, endpoint: ModelEndpoint, free: threading.Event) -> None:
        self.endpoint = endpoint
        self.free = free
        self.settings = {"JUDGE_URL": endpoint.url, "JUDGE_MODEL": "stub", "JUDGE_VOTES": "1"}

    def wait_until_asked(self) -> None:
        wait_until(lambda: self.endpoint.requests)


@pytest.fixture
def judge() -> Iterator[Judge]:
    free = threading.Event()

    def answer(_: object) -> Reply:
        free.wait(60)
        return Reply(VOTE)

    with ModelEndpoint(answer).serving() as endpoint:
        yield Judge(endpoint, free)
        free.set()


def samples(processor: Processor) -> dict[str, str]:
    return {row["facet"]: row["status"] for row in processor.rows("SELECT facet, status FROM deep_samples")}


def store(processor: Processor, *spans: Span) -> Own:
    mine = own(*spans)
    processor.send(*mine.spans)
    processor.settle()
    return mine


def test_a_kept_task_is_looked_at_by_every_analyser(
    new_processor: Start, policies: Callable[[str], str], judge: Judge
) -> None:
    judge.free.set()
    with new_processor(SAMPLING=policies(ALL), **judge.settings) as processor:
        mine = store(processor, *whole())
        status = processor.wait_for(lambda status: status.analysis and not status.analysis.pending)
        rows = {row["facet"]: row for row in processor.rows("SELECT * FROM deep_samples")}
        assert {facet: row["status"] for facet, row in rows.items()} == {
            "conversation": "complete", "ast": "partial", "judge": "complete", "reflection": "complete",
        }  # fmt: skip
        assert {row["inclusion_probability"] for row in rows.values()} == {1.0}
        contents = {facet: json.dumps(row["content"]) for facet, row in rows.items()}
        assert EMAIL not in "".join(contents.values())
        assert "<EMAIL:" in contents["conversation"]
        assert "<EMAIL:" in contents["reflection"]
        assert "ordered" in contents["ast"]
        (request,) = judge.endpoint.requests
        assert EMAIL not in json.dumps(request.body)
        assert "Sort" in json.dumps(request.body)
        (judged,) = processor.rows("SELECT * FROM judge_disagreements")
        assert (judged["judge_score"], judged["evaluator_score"]) == (0.8, 0.9)
        assert {each["facet"] for each in processor.record(mine.task_id)["sampling"]["facets"]} == set(rows)

        status = processor.wait_for(lambda status: status.analysis and status.analysis.stored)
        assert status.analysis is not None
        assert status.analysis.stored is not None
        assert processor.terms("deep samples") == {"kept": 4, "stored": 4} | dict.fromkeys(
            ("pending", "record_gone", "erased", "forgone"), 0
        )
        assert "judge" not in {each.what for each in status.off}
        assert status.analysis.stored["ast"] == {"partial: hunks_only": 1}
        assert "conversation: 1 complete in 24 h" in processor.run("status").stdout
        wait_until(lambda: b'deep_samples_total{facet="ast"' in processor.admin("/metrics").body)
        processor.assert_balanced()


def test_what_was_being_analysed_when_all_was_killed_is_done_after_the_start_and_once(
    new_processor: Start, policies: Callable[[str], str], judge: Judge
) -> None:
    processor = new_processor(SAMPLING=policies(ALL), **judge.settings).start()
    store(processor, *whole())
    judge.wait_until_asked()
    assert samples(processor) == {}, "all samples of a task are written together"
    assert processor.terms("deep samples")["pending"] == 4
    wait_for_end(processor.kill())
    judge.free.set()
    processor.start()
    processor.wait_for(lambda status: status.analysis and not status.analysis.pending)
    assert len(samples(processor)) == len(processor.rows("SELECT FROM deep_samples")) == 4
    assert samples(processor)["conversation"] == "complete", "its spans were still there"
    assert processor.terms("deep samples")["stored"] == 4
    processor.assert_balanced()
    processor.stop()


def test_a_crash_while_the_judge_is_asked_spends_the_hour(
    new_processor: Start, policies: Callable[[str], str], judge: Judge
) -> None:
    one = {"JUDGE_CALLS_PER_HOUR": "1"}
    processor = new_processor(SAMPLING=policies(ALL), **judge.settings, **one).start()
    store(processor, *whole())
    judge.wait_until_asked()
    wait_for_end(processor.kill())
    judge.free.set()
    processor.start()
    processor.wait_for(lambda status: status.analysis and not status.analysis.pending)
    assert samples(processor)["judge"] == "shed"
    assert len(judge.endpoint.requests) == 1
    processor.stop()


def test_who_is_erased_is_erased_from_what_waits_for_its_analysis(
    new_processor: Start, policies: Callable[[str], str], judge: Judge
) -> None:
    with new_processor(SAMPLING=policies(ALL), **judge.settings) as processor:
        mine = store(processor, *whole())
        judge.wait_until_asked()
        before = {path.name for path in (processor.data_dir / "journal" / "keys").iterdir()}
        ran = processor.run("erase", "--task", mine.task_id, "--yes", "--author", "ada", "--reason", "asked", "--json")
        assert json.loads(ran.stdout)["removed"] == {"pending_analyses": 1, "records": 1, "spans": 5}
        judge.free.set()
        after = {path.name for path in (processor.data_dir / "journal" / "keys").iterdir()}
        assert not before & after, "the key of what went is still there"
        store(processor, *whole())
        processor.wait_for(lambda status: status.analysis and not status.analysis.pending)
        assert {row["task_id"] for row in processor.rows("SELECT task_id FROM deep_samples")}.isdisjoint({mine.task_id})
        assert processor.terms("deep samples")["erased"] == 4
        processor.assert_balanced()


def test_a_late_evaluation_adds_facets_and_raises_weights(
    new_processor: Start, policies: Callable[[str], str], judge: Judge
) -> None:
    """What needs the spans is empty by then, what needs the record alone is not; nothing that was kept is made anew."""
    low = "when.evaluation.overallScore.below = 0.5\nalways = true\n"
    document = '[[reflection]]\nname = "nearly all"\nprobability = 0.999999999\n'
    document += "".join(f'[[{facet}]]\nname = "low"\n{low}' for facet in ("ast", "judge", "reflection"))
    judge.free.set()
    with new_processor(SAMPLING=policies(document), **judge.settings) as processor:
        mine = store(processor, *whole()[:-1])
        query = "SELECT facet, status, reason, policy, inclusion_probability AS p FROM deep_samples ORDER BY facet"
        processor.wait_for(lambda status: status.analysis and not status.analysis.pending)
        (row,) = processor.rows(query)
        assert tuple(row.values()) == ("reflection", "complete", None, "nearly all", 0.999999999)
        processor.send_logs(evaluated(0.2, trace_id=mine.trace_id))
        processor.flush()
        processor.wait_for(lambda status: status.analysis and not status.analysis.pending)
        assert [tuple(row.values()) for row in processor.rows(query)] == [
            ("ast", "empty", "input_gone", "low", 1.0),
            ("judge", "complete", None, "low", 1.0),
            ("reflection", "complete", None, "nearly all", 1.0),
        ]
        record = processor.record(mine.task_id)
        assert record["revision"] == 2
        assert {each["facet"]: each["inclusionProbability"] for each in record["sampling"]["facets"]} == dict.fromkeys(
            ("ast", "judge", "reflection"), 1.0
        )
        (judged,) = processor.rows("SELECT judge_score, evaluator_score FROM judge_disagreements")
        assert tuple(judged.values()) == (0.8, 0.2)
        processor.send_logs(evaluated(0.9, trace_id=mine.trace_id, at=5000))
        processor.flush()
        assert len(processor.rows(query)) == 3, "what was kept stays"
        assert len(processor.record(mine.task_id)["sampling"]["facets"]) == 3
        assert processor.terms("deep samples")["stored"] == 3
        processor.assert_balanced()


def test_weighted_samples_tell_the_truth(new_processor: Start, policies: Callable[[str], str]) -> None:
    """Failures are all kept and of the others a quarter: unweighted the share of failures would be far too high."""
    document = """
        [[reflection]]
        name = "failures"
        when.rlLabels.finalOutcome = "failure"
        always = true
        [[reflection]]
        name = "a quarter"
        probability = 0.25
    """
    tasks, failures = 240, 24
    with new_processor(SAMPLING=policies(document)) as processor:
        for number in range(tasks):
            said = {a.EXECUTION_SUCCESS: number >= failures, a.SELF_REFLECTION: "Hm."}
            spans = [task(), execution(attributes=said)]
            processor.send(*own(*spans, trace_id=(number + 1).to_bytes(16, "big")).spans)
        processor.settle()
        processor.wait_for(lambda status: status.analysis and not status.analysis.pending)
        (told,) = processor.rows(
            "SELECT count(*)::int AS samples, sum(1 / inclusion_probability) AS tasks,"
            " sum((NOT point.success)::int / inclusion_probability) AS failures"
            " FROM deep_samples JOIN data_points AS point USING (id)"
        )
        assert failures < told["samples"] < tasks / 2
        assert told["failures"] == failures
        assert told["tasks"] == pytest.approx(tasks, rel=0.2)  # the draws are fixed by the trace ids
        assert told["failures"] / told["tasks"] == pytest.approx(0.1, rel=0.2)
        assert failures / told["samples"] > 0.2
        processor.assert_balanced()
