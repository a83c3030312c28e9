"""After a violation a source's tasks wait, under a share of the journal, until a person lets it go on."""

from __future__ import annotations

import json
from collections.abc import Callable

from support.lifecycle import evaluation, execution, payload, route, task
from support.processor import Own, Processor, own, wait_until

from otel_benchmark import attributes as a

EMAIL = "mia.li@corp-mail.com"


def whole(description: str = "Sort the list") -> Own:
    return own(task(attributes={a.TASK_DESCRIPTION: description}), route(), execution(), evaluation())


def send(processor: Processor, service: str, tasks: Own) -> int:
    """Status of the answer."""
    return processor.post(payload(tasks.spans, resource={a.SERVICE_NAME: service})).status


def tasks(processor: Processor) -> set[str]:
    return {row["task_id"] for row in processor.rows("SELECT task_id FROM data_points")}


def test_a_violation_halts_its_source_alone_until_it_is_resumed(make: Callable[..., Processor]) -> None:
    with make(PRIVACY="off") as before:
        assert send(before, "leaky", whole(f"Write to {EMAIL}")) == 200
        before.settle()
    with make() as processor:
        assert processor.status().halted == ()
        assert processor.run("privacy", "scan").returncode == 1
        mine, other = whole(), whole()
        assert send(processor, "leaky", mine) == 200
        assert send(processor, "sound", other) == 200
        wait_until(lambda: tasks(processor))
        processor.flush()
        assert tasks(processor) == {other.task_id}
        status = processor.status()
        (halted,) = status.halted
        assert (halted.source, halted.found) == ("leaky", "1 EMAIL")
        assert 0 < halted.bytes < halted.max_bytes
        assert status.place.open_spans == 4
        assert status.health.state == "degraded"
        assert "privacy: leaky is halted since" in status.health.reasons[0]
        assert b"leaky is halted" in processor.admin("/healthz").body
        wait_until(lambda: b'privacy_held_bytes{source="leaky"}' in processor.admin("/metrics").body)
        assert "leaky since" in processor.run("status").stdout
        (row,) = json.loads(processor.run("privacy", "status", "--json").stdout)
        assert (row["source"], row["id"], row["max_bytes"]) == ("leaky", halted.record, halted.max_bytes)
        assert row["bytes"] == halted.bytes
        assert row["hours_to_full"] > 0
        assert b'privacy_held_seconds_to_full{source="leaky"}' in processor.admin("/metrics").body
        processor.stop()
        processor.start()  # the file knows it before the database does
        processor.flush()
        assert tasks(processor) == {other.task_id}
        resumed = processor.run("privacy", "resume", "leaky", "--author", "ada", "--reason", "fixed")
        assert (resumed.returncode, resumed.stdout) == (0, "leaky goes on\n")
        wait_until(lambda: tasks(processor) == {other.task_id, mine.task_id})
        assert processor.status().health.state == "ok"
        shown = json.loads(processor.run("quarantine", "show", halted.record, "--json").stdout)
        assert [(each["action"], each["author"]) for each in shown["decisions"]] == [
            ("scan", "privacy scan"),
            ("resume", "ada"),
        ]
        again = processor.run("privacy", "resume", "leaky", "--author", "ada")
        assert "'leaky' is not halted" in again.stderr
        processor.assert_balanced()


def test_what_a_scan_without_a_processor_halts_is_halted_from_the_start_on(make: Callable[..., Processor]) -> None:
    with make(PRIVACY="off") as before:
        assert send(before, "leaky", whole(f"Write to {EMAIL}")) == 200
        before.settle()
    processor = make(DRAIN_TIMEOUT="1s")
    assert processor.run("privacy", "scan").returncode == 1
    (row,) = json.loads(processor.run("privacy", "status", "--json").stdout)
    assert (row["source"], row["bytes"], row["hours_to_full"]) == ("leaky", None, None)
    remembered = processor.data_dir / "privacy.halts"
    assert remembered.stat().st_mode & 0o777 == 0o600
    away = {"COLLECTOR_PROCESSOR_DATABASE_URL": "postgresql://127.0.0.1:1/none"}
    reached = processor.environment
    processor.environment = reached | away
    with processor:
        for service in ("leaky", "sound"):
            assert send(processor, service, whole()) == 200
        processor.wait_for(lambda status: status.place.sealed_tasks)
        assert processor.run("flush").returncode == 1  # what is sealed can't be stored
        place = processor.status().place
        assert (place.sealed_tasks, place.open_spans) == (1, 4)
    processor.environment = reached
    assert processor.run("privacy", "resume", "leaky", "--author", "ada").returncode == 0
    assert json.loads(remembered.read_bytes()) == []
    remembered.write_bytes(b"[")
    refused = processor.run("serve")
    assert refused.returncode != 0
    assert f"{remembered} (halted sources) can't be read" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_share_of_a_halted_source_is_bounded_and_others_go_on(make: Callable[..., Processor]) -> None:
    with make(PRIVACY="off") as before:
        send(before, "leaky", whole(f"Write to {EMAIL}"))
        before.settle()
    with make(JOURNAL_MAX_BYTES="16MiB", PRIVACY_HALT_SHARE="0.001") as processor:
        processor.run("privacy", "scan")
        answers = [send(processor, "leaky", whole("x" * 2000)) for _ in range(9)]
        assert answers[0] == 200
        assert answers[-1] == 503
        last = processor.post(payload(whole("x" * 2000).spans, resource={a.SERVICE_NAME: "leaky"}))
        assert b"leaky is halted after a privacy violation" in last.body
        assert last.headers["retry-after"]
        other = whole()
        assert send(processor, "sound", other) == 200
        wait_until(lambda: other.task_id in tasks(processor))
        processor.assert_balanced()


def test_with_the_other_policy_it_is_only_counted(make: Callable[..., Processor]) -> None:
    with make(PRIVACY="off") as before:
        send(before, "leaky", whole(f"Write to {EMAIL}"))
        before.settle()
    with make(PRIVACY_VIOLATION="count") as processor:
        assert processor.run("privacy", "scan").returncode == 1
        mine = whole()
        send(processor, "leaky", mine)
        processor.settle()
        assert tasks(processor) == {mine.task_id}
        assert processor.status().halted == ()
        assert processor.fresh_status().collection.privacy_violations == 1


def test_a_source_that_is_named_like_a_person_is_held_under_its_pseudonym(make: Callable[..., Processor]) -> None:
    with make(PRIVACY="off") as before:
        assert send(before, EMAIL, whole()) == 200
        before.settle()
    with make() as processor:
        assert processor.run("privacy", "scan").returncode == 1
        other = whole()
        assert send(processor, EMAIL, whole()) == 200
        assert send(processor, "sound", other) == 200
        wait_until(lambda: tasks(processor))
        processor.flush()
        assert tasks(processor) == {other.task_id}
        (halted,) = processor.status().halted
        assert EMAIL not in halted.source
        assert "<EMAIL:k1:" in halted.source
        assert halted.bytes > 0
        resumed = processor.run("privacy", "resume", halted.source, "--author", "ada", "--reason", f"{EMAIL} is gone")
        assert resumed.returncode == 0
        wait_until(lambda: len(tasks(processor)) == 2)
        trail = json.loads(processor.run("quarantine", "audit", "--action", "resume", "--json").stdout)
        assert [row["reason"].startswith("<EMAIL:k1:") for row in trail] == [True]
        processor.assert_balanced()


def test_a_person_lets_a_condemned_record_count_again(make: Callable[..., Processor]) -> None:
    with make(PRIVACY="off") as before:
        send(before, "leaky", whole(f"Write to {EMAIL}"))
        before.settle()
    with make(GATE_SEVERITIES="pii=warning") as processor:
        assert processor.run("privacy", "scan").returncode == 1
        ((id_,),) = [row.values() for row in processor.rows("SELECT id::text FROM quarantine")]
        assert tasks(processor) == set()
        patch = json.dumps([{"op": "replace", "path": "/task/complexity", "value": "complex"}])
        assert processor.run("quarantine", "correct", id_, patch, "--author", "ada").returncode == 0
        assert tasks(processor) == set()
        assert processor.run("quarantine", "release", id_, "--author", "ada", "--reason", "redacted").returncode == 0
        assert processor.rows("SELECT id::text FROM exportable") == [{"id": id_}]
