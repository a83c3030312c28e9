"""`privacy scan` over what was stored before anybody looked: redacted, quarantined, counted, written down."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.lifecycle import evaluation, execution, model_call, route, task
from support.planted import dump
from support.processor import Own, Processor, own, wait_until

from otel_benchmark import attributes as a

EMAIL = "mia.li@corp-mail.com"
TOKEN = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"


NOTHING: dict[str, Any] = {"records": 0, "violations": [], "unsearched": [], "elsewhere": {}}


def whole(description: str) -> Own:
    return own(task(attributes={a.TASK_DESCRIPTION: description}), route(), execution(), evaluation())


def everything(processor: Processor) -> str:
    return "\n".join(content.decode() for _, content in dump(processor.database_url))


def scan(processor: Processor, *arguments: str, code: int) -> dict[str, Any]:
    ran = processor.run("privacy", "scan", "--json", *arguments)
    assert ran.returncode == code, (ran.stdout, ran.stderr)
    said: dict[str, Any] = json.loads(ran.stdout)
    return said


def test_what_was_stored_in_clear_is_found_redacted_and_quarantined(make: Callable[..., Processor]) -> None:
    person, secret, clean = whole(f"Write to {EMAIL}"), whole(f"with {TOKEN}"), whole("Sort the list")
    lost = own(route(parent=0, attributes={a.ROUTING_RATIONALE: f"as {EMAIL} asked"}))
    with make(PRIVACY="off") as before:
        for each in (person, secret, clean):
            before.send(*each.spans)
        before.send(*lost.spans, resource={a.SERVICE_NAMESPACE: "of jo@corp-mail.com"})
        before.settle()
        before.flush()
    assert EMAIL in everything(before)
    assert "jo@corp-mail.com" in everything(before)
    assert TOKEN in everything(before)
    with make() as processor:
        assert processor.fresh_status().collection.privacy_violations == 0
        scanned = scan(processor, code=1)
        assert (scanned["records"], scanned["unsearched"], scanned["elsewhere"]) == (3, [], {"waiting spans": 1})
        found = {each["task_id"]: each["found"] for each in scanned["violations"]}
        assert found == {person.task_id: {"EMAIL": 1}, secret.task_id: {"CREDENTIAL": 1}}
        left = everything(processor)
        assert EMAIL not in left
        assert TOKEN not in left
        assert "jo@corp-mail.com" not in left
        assert "<EMAIL:k1:" in left
        assert processor.rows("SELECT task_id FROM data_points") == [{"task_id": clean.task_id}]
        failed = processor.rows("SELECT task_id, gates_failed FROM quarantine")
        assert {row["task_id"]: set(row["gates_failed"]) & {"pii", "secrets"} for row in failed} == {
            person.task_id: {"pii"},
            secret.task_id: {"secrets"},
        }
        shown = processor.run("quarantine", "show", scanned["violations"][0]["id"], "--json")
        (decision,) = json.loads(shown.stdout)["decisions"]
        assert (decision["action"], decision["author"]) == ("scan", "privacy scan")
        assert processor.fresh_status().collection.privacy_violations == 2
        assert b"privacy_violations_total 2" in processor.admin("/metrics").body
        assert scan(processor, code=0) == NOTHING | {"records": 3}
        processor.assert_balanced()


def test_a_conversation_alone_condemns_its_record_and_halts_its_source(
    make: Callable[..., Processor], tmp_path: Path
) -> None:
    policies = tmp_path / "policies.toml"
    policies.write_text('[[conversation]]\nname = "all"\nalways = true\n', encoding="utf-8")
    said = json.dumps([{"role": "user", "parts": [{"type": "text", "content": f"Write to {EMAIL}"}]}])
    leaky = own(task(), execution(), model_call(5, attributes={a.GEN_AI_INPUT_MESSAGES: said}))
    with make(PRIVACY="off", SAMPLING=str(policies)) as before:
        before.send(*leaky.spans)
        before.settle()
        wait_until(lambda: before.rows("SELECT FROM deep_samples"))
        assert EMAIL in everything(before)
    with make(SAMPLING=str(policies)) as processor:
        scanned = scan(processor, code=1)
        ((task_id, found),) = ((each["task_id"], each["found"]) for each in scanned["violations"])
        assert (task_id, found, scanned["elsewhere"]) == (leaky.task_id, {"EMAIL": 1}, {})
        assert EMAIL not in everything(processor)
        assert processor.rows("SELECT FROM deep_samples") == processor.rows("SELECT FROM data_points") == []
        (failed,) = processor.rows("SELECT gates_failed FROM quarantine")
        assert "pii" in failed["gates_failed"]
        status = processor.fresh_status()
        assert (status.collection.privacy_violations, [each.found for each in status.halted]) == (1, ["1 EMAIL"])
        assert scan(processor, code=0) == NOTHING | {"records": 1}
        processor.assert_balanced()


def test_only_so_much_is_looked_at(make: Callable[..., Processor]) -> None:
    with make(PRIVACY="off") as processor:
        for _ in range(3):
            processor.send(*whole(f"Write to {EMAIL}").spans)
        processor.settle()
        refused = processor.run("privacy", "scan")
        assert "COLLECTOR_PROCESSOR_PRIVACY is off" in refused.stderr
    with make() as processor:
        assert scan(processor, "--since", "1m", code=0)["records"] == 0  # the tasks of tests are of one day
        first = scan(processor, "--limit", "2", code=1)
        assert (first["records"], len(first["violations"])) == (2, 2)
        said = processor.run("privacy", "scan").stdout
        assert said.startswith("3 records searched, 1 with findings: 1 EMAIL\n")


def test_the_words_of_decisions_are_redacted_too(make: Callable[..., Processor]) -> None:
    """When they are given, and by a scan where they were given before."""
    bad, worse = whole("Sort the list"), whole("Sort the list")
    with make(PRIVACY="off") as before:
        for each in (bad, worse):
            before.send(*each.spans)
        before.settle()
        ids = [row["id"] for row in before.rows("SELECT id::text FROM data_points ORDER BY task_id")]
        assert before.run("quarantine", "revalidate", ids[0], "--reason", f"{EMAIL} asked").returncode == 0
        assert EMAIL in everything(before)
    with make() as processor:
        assert scan(processor, code=1)["elsewhere"] == {"decisions": 1}
        patch = json.dumps([{"op": "add", "path": "/task/description", "value": EMAIL}])
        decisions = (("correct", ids[0], patch), ("revalidate", ids[0]), ("discard", *ids, "--yes"))
        for action, *named in decisions:
            ran = processor.run("quarantine", action, *named, "--author", "ada", "--reason", f"{EMAIL} asked")
            assert ran.returncode == 0, ran.stderr
        assert processor.run("privacy", "resume", "x", "--author", "ada", "--reason", EMAIL).returncode == 1
        assert EMAIL not in everything(processor)
        trail = json.loads(processor.run("quarantine", "audit", "--json").stdout)
        assert {row["reason"].split(":")[0] for row in trail} == {"<EMAIL"}
        assert scan(processor, code=0) == NOTHING | {"records": 2}
