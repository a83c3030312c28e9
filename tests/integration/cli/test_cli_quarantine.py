"""`quarantine` on records that were really converted, judged and stored."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from support.command import Run
from support.lifecycle import evaluation, execution, route, sealed, task

from collector_processor.app.pipeline import Pipeline
from collector_processor.convert import FoldSettings, unite
from collector_processor.guard import GateSettings, Protector
from collector_processor.store.database import Database
from collector_processor.store.postgres import PostgresStore
from otel_benchmark import attributes as a

LOW = {a.EVALUATION_OVERALL_SCORE: 0.1}


@pytest.fixture
def record(run: Run, postgres_url: str) -> UUID:
    """A task that claims success with a low score: the gate `success-quality` puts it into quarantine."""
    run("database", "migrate")
    pipeline = Pipeline(Protector(None, None), FoldSettings(None), GateSettings())
    spans = (task(), route(), execution(attributes={a.EXECUTION_SUCCESS: True}), evaluation(attributes=LOW))

    async def store() -> None:
        async with Database(postgres_url, application_name="test") as database:
            batch = pipeline.prepare(uuid4(), [sealed(*spans)])
            applied = await PostgresStore(database, pipeline.revise, unite).apply(batch)
            assert applied.quarantined == 1

    asyncio.run(store())
    return UUID(run("quarantine", "list", "--json").json[0]["id"])


def test_it_is_listed_and_shown(run: Run, record: UUID) -> None:
    listed = run("quarantine", "list")
    assert listed.code == 0
    assert str(record) in listed.out
    assert "success-quality" in listed.out
    shown = run("quarantine", "show", str(record))
    assert shown.json["record"]["state"] == "quarantined"
    assert shown.json["record"]["evaluation"]["overallScore"] == 0.1
    assert shown.json["decisions"] == []


def test_a_correction_is_judged_again(run: Run, record: UUID, tmp_path: Path) -> None:
    file = tmp_path / "patch.json"
    file.write_text(json.dumps([{"op": "replace", "path": "/execution/success", "value": False}]))
    corrected = run(
        "quarantine", "correct", str(record), f"@{file}", "--author", "ada", "--reason", "it failed", "--json"
    )
    assert corrected.code == 0
    assert corrected.json["state"] == "accepted"
    assert "success-quality" not in corrected.json["gates_failed"]
    shown = run("quarantine", "show", str(record)).json
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
    assert run("quarantine", "show", str(record)).json["decisions"] == []


def test_no_such_record(run: Run, record: UUID) -> None:
    other = UUID(int=record.int ^ 1)
    for command in (["show"], ["release", "--author", "ada"], ["discard", "--author", "ada"]):
        said = run("quarantine", command[0], str(other), *command[1:])
        assert (said.code, said.err) == (1, f"otel-benchmark: there is no record {other}\n")
