"""`quarantine` on records that were really converted, judged and stored."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from support.command import Run
from support.lifecycle import TRACE, evaluation, execution, route, sealed, task
from support.processor import own

from collector_processor.app.storing.pipeline import Pipeline
from collector_processor.convert import FoldSettings, unite
from collector_processor.guard import GateSettings, Protector
from collector_processor.model.stages import RawTask
from collector_processor.store.database import Database
from collector_processor.store.postgres import PostgresStore
from otel_benchmark import attributes as a

LOW = {a.EVALUATION_OVERALL_SCORE: 0.1}


def store_all(url: str, pipeline: Pipeline, *tasks: RawTask) -> None:
    async def store() -> None:
        async with Database(url, application_name="test") as database:
            applied = await PostgresStore(database, pipeline.revise, unite).apply(pipeline.prepare(uuid4(), tasks))
            assert applied.quarantined == len(tasks)

    asyncio.run(store())


@pytest.fixture
def record(run: Run, postgres_url: str) -> UUID:
    """A task that claims success with a low score: the gate `success-quality` puts it into quarantine."""
    run("database", "migrate")
    pipeline = Pipeline(Protector(None, None), FoldSettings(None), GateSettings())
    spans = (task(), route(), execution(attributes={a.EXECUTION_SUCCESS: True}), evaluation(attributes=LOW))

    store_all(postgres_url, pipeline, sealed(*spans))
    return UUID(run("quarantine", "list", "--json").json[0]["id"])


def test_it_is_listed_and_shown(run: Run, record: UUID) -> None:
    listed = run("quarantine", "list")
    assert listed.code == 0
    assert str(record) in listed.out
    assert "success-quality" in listed.out
    shown = run("quarantine", "show", str(record), "--json")
    assert shown.json["record"]["state"] == "quarantined"
    assert shown.json["record"]["evaluation"]["overallScore"] == 0.1
    assert shown.json["decisions"] == []


def test_show_says_why_and_what_was_decided(run: Run, record: UUID) -> None:
    patch = '[{"op": "replace", "path": "/task/complexity", "value": "complex"}]'
    run("quarantine", "correct", str(record), patch, "--author", "ada", "--reason", "it was harder")
    words = run("quarantine", "show", str(record)).out
    assert "state   quarantined, revision 2" in words
    assert "task-1, code-editing, received 2025-11-22T12:00:00.000000000Z" in words
    [line] = [line for line in words.splitlines() if line.startswith("success-quality")]
    assert line.split()[1] == "error"
    assert line.endswith("execution.success = true with evaluation.overallScore = 0.1 below 0.5")
    [line] = [line for line in words.splitlines() if "ada" in line]
    assert line.split()[1:] == ["correct", "ada", "it", "was", "harder"]


# -- Many at once ------------------------------------------------------------------------------------------------


@pytest.fixture
def records(run: Run, record: UUID, postgres_url: str) -> list[UUID]:
    """Two more in quarantine, of which one failed another gate."""
    pipeline = Pipeline(Protector(None, None), FoldSettings(None), GateSettings())
    success = {a.EXECUTION_SUCCESS: True}
    spans = (task(11), route(12, parent=11), execution(13, parent=11, attributes=success))
    second = own(*spans, evaluation(14, parent=11, attributes=LOW), trace_id=TRACE, task_id="task-2").spans
    third = own(task(21), execution(22, parent=21), trace_id=TRACE, task_id="task-3").spans
    store_all(postgres_url, pipeline, sealed(*second, number=11), sealed(*third, number=21))
    listed = {each["task_id"]: UUID(each["id"]) for each in run("quarantine", "list", "--json").json}
    return [listed[name] for name in ("task-1", "task-2", "task-3")]


def test_the_list_is_filtered(run: Run, records: list[UUID]) -> None:
    def listed(*filters: str) -> set[str]:
        return {each["task_id"] for each in run("quarantine", "list", "--json", *filters).json}

    assert listed() == {"task-1", "task-2", "task-3"}
    assert listed("--gate", "success-quality") == {"task-1", "task-2"}
    assert listed("--gate", "required-sections", "--severity", "error") == {"task-3"}
    assert listed("--task-type", "research") == listed("--agent", "nobody") == listed("--since", "1h") == set()
    assert listed("--since", "2025-11-22T11:00") == {"task-1", "task-2", "task-3"}
    assert len(listed("--limit", "1")) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("list", "--gate", "success"), "--gate: 'success' is not one of required-sections, "),
        (("list", "--severity", "fatal"), "--severity: 'fatal' is not one of incomplete, warning, error, critical"),
        (("list", "--since", "yesterday"), "'yesterday' is neither a duration such as 7d nor a time"),
        (("release",), "name records by their ids, or choose them by filters"),
        (("release", str(uuid4()), "--gate", "timing"), "name records by their ids, or choose them by filters"),
    ],
)
def test_a_choice_that_can_not_be_used_is_a_wrong_usage(
    run: Run, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        run("quarantine", *arguments)
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_a_dry_run_changes_nothing(run: Run, records: list[UUID]) -> None:
    tried = run("quarantine", "discard", "--gate", "success-quality", "--dry-run", "--json")
    assert {UUID(each["id"]) for each in tried.json} == set(records[:2])
    assert tried.err == "otel-benchmark: discard would be done to 2 records\n"
    named = run("quarantine", "release", str(records[2]), "--dry-run", "--json")
    assert [UUID(each["id"]) for each in named.json] == [records[2]]
    assert len(run("quarantine", "list", "--json").json) == 3
    assert run("quarantine", "audit", "--json").json == []


class Terminal(io.StringIO):
    """A person who answers."""

    def isatty(self) -> bool:
        return True


def test_records_that_filters_choose_are_changed_only_with_consent(
    run: Run, records: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    release = ("quarantine", "release", "--gate", "success-quality", "--author", "ada")
    refused = run(*release)
    assert (refused.code, refused.err) == (
        1,
        "otel-benchmark: nobody can be asked whether to release 2 records: say --yes, or look first with --dry-run\n",
    )
    monkeypatch.setattr("sys.stdin", Terminal("n\ny\n"))
    declined = run(*release)
    assert (declined.code, declined.err) == (1, "release 2 records? [y/N] otel-benchmark: nothing was changed\n")
    assert len(run("quarantine", "list", "--json").json) == 3
    assert run(*release).code == 0
    assert [UUID(each["id"]) for each in run("quarantine", "list", "--json").json] == records[2:]


def test_many_are_decided_about_and_each_refusal_is_told(run: Run, records: list[UUID]) -> None:
    run("quarantine", "release", str(records[0]), "--author", "ada")
    ids = [str(each) for each in records]
    said = run("quarantine", "release", *ids, "--author", "bo", "--reason", "known", "--json")
    assert said.code == 1
    assert [each.get("state") for each in said.json] == [None, "released", "released"]
    assert said.json[0]["error"] == f"record {ids[0]} is released: only a quarantined one can be released"
    words = run("quarantine", "discard", *ids, "--author", "bo")
    assert [line for line in words.out.splitlines() if line.endswith("is discarded")] == [
        f"{each} is discarded" for each in ids
    ]
    assert words.err == "otel-benchmark: done to 3 records, refused for 0\n"
    assert run("sql", "SELECT count(*) AS n FROM exportable", "--csv").out == "n\n0\n"


def test_a_patch_for_many(run: Run, records: list[UUID]) -> None:
    patch = '[{"op": "replace", "path": "/execution/success", "value": false}]'
    said = run("quarantine", "correct", patch, "--gate", "success-quality", "--yes", "--author", "ada", "--json")
    assert {each["state"] for each in said.json} == {"accepted"}
    assert len(said.json) == 2
    assert run("quarantine", "correct", patch, "--gate", "success-quality", "--yes", "--json").json == []


def test_other_severities_judge_again(run: Run, records: list[UUID], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLLECTOR_PROCESSOR_GATE_SEVERITIES", "success-quality=warning")
    said = run("quarantine", "revalidate", "--gate", "success-quality", "--yes", "--author", "ada")
    assert said.err == "otel-benchmark: done to 2 records, refused for 0\n"
    assert [UUID(each["id"]) for each in run("quarantine", "list", "--json").json] == records[2:]
    monkeypatch.setenv("COLLECTOR_PROCESSOR_GATE_SEVERITIES", "success-quality=critical")
    assert run("quarantine", "revalidate", str(records[0]), "--author", "ada", "--json").json["state"] == "quarantined"
    trail = run("quarantine", "audit", "--json").json
    assert [(each["action"], each["author"]) for each in trail] == [("revalidate", "ada")] * 3
    assert run("quarantine", "audit", "--author", "bo", "--json").json == []
    assert run("quarantine", "audit", "--since", "1h", "--limit", "2", "--csv").out.count("revalidate") == 2


# -- Corrections -------------------------------------------------------------------------------------------------


def test_a_correction_is_judged_again(run: Run, record: UUID, tmp_path: Path) -> None:
    file = tmp_path / "patch.json"
    file.write_text(json.dumps([{"op": "replace", "path": "/execution/success", "value": False}]))
    corrected = run(
        "quarantine", "correct", str(record), f"@{file}", "--author", "ada", "--reason", "it failed", "--json"
    )
    assert corrected.code == 0
    assert corrected.json["state"] == "accepted"
    assert "success-quality" not in corrected.json["gates_failed"]
    shown = run("quarantine", "show", str(record), "--json").json
    assert shown["record"]["execution"]["success"] is False
    (decision,) = shown["decisions"]
    assert (decision["action"], decision["author"], decision["reason"]) == ("correct", "ada", "it failed")
    assert run("quarantine", "list", "--json").json == []


def test_a_correction_that_changes_nothing_says_what_still_fails(run: Run, record: UUID) -> None:
    patch = '[{"op": "replace", "path": "/task/complexity", "value": "complex"}]'
    said = run("quarantine", "correct", str(record), patch, "--author", "ada")
    assert f"{record} is quarantined" in said.out
    assert "  success-quality: " in said.out


def test_release_and_discard(run: Run, record: UUID) -> None:
    released = run("quarantine", "release", str(record), "--author", "ada", "--reason", "looked at it")
    assert released.out.splitlines()[0] == f"{record} is released"
    again = run("quarantine", "release", str(record), "--author", "ada")
    assert (again.code, again.err) == (
        1,
        f"otel-benchmark: record {record} is released: only a quarantined one can be released\n",
    )
    assert run("sql", "SELECT state FROM data_points", "--csv").out == "state\nreleased\n"
    assert run("quarantine", "discard", str(record), "--author", "ada", "--json").json["state"] == "discarded"
    assert run("sql", "SELECT state FROM data_points", "--csv").out == "state\n"
    assert run("quarantine", "discard", str(record), "--author", "ada").code == 1


@pytest.mark.parametrize(
    ("patch", "words"),
    [
        ("{", "PATCH is no JSON"),
        ('{"success": false}', "PATCH is a list of steps"),
        ("@/no/such/file", "No such file or directory"),
        ('[{"op": "replace", "path": "/task/kind", "value": 1}]', "step 1 of the patch: there is no /task/kind"),
        ('[{"op": "replace", "path": "/state", "value": "accepted"}]', "/state can't be corrected"),
    ],
)
def test_a_patch_that_can_not_be_used(run: Run, record: UUID, patch: str, words: str) -> None:
    said = run("quarantine", "correct", str(record), patch, "--author", "ada")
    assert said.code == 1
    assert words in said.err
    assert "unexpected" not in said.err
    assert run("quarantine", "show", str(record), "--json").json["decisions"] == []


def test_no_such_record(run: Run, record: UUID) -> None:
    other = UUID(int=record.int ^ 1)
    for command in (["show"], ["release", "--author", "ada"], ["discard", "--author", "ada"]):
        said = run("quarantine", command[0], str(other), *command[1:])
        assert (said.code, said.err) == (1, f"otel-benchmark: there is no record {other}\n")
