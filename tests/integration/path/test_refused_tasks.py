"""Tasks that the database refuses, or over which a worker dies or hangs: dead letters, and all others are stored."""

from __future__ import annotations

import json
from functools import partial

import psycopg
import pytest
from support.lifecycle import execution, task
from support.poison import LOOPS, WORD, poisoned
from support.processor import Processor, ended, own, wait_until

from collector_processor.model.record import point_id

SECRET = "ada.lovelace@example.com"
CARD = 4539578763621486

REFUSE = """
CREATE FUNCTION benchmark_data.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.task_id LIKE 'unfit-%' THEN
        RAISE EXCEPTION 'nobody wants %', NEW.task_id USING
            ERRCODE = CASE WHEN NEW.task_id = 'unfit-1' THEN '53400' ELSE '23514' END;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER refuse BEFORE INSERT ON benchmark_data.point_keys FOR EACH ROW EXECUTE FUNCTION benchmark_data.refuse();
"""


def stored(processor) -> set[str]:
    return {row["task_id"] for row in processor.rows("SELECT task_id FROM data_points")}


def has_hung(processor: Processor, times: int) -> bool:
    return processor.log.count("Timeout (0:00:03") >= times


@pytest.fixture
def refusing(new_processor, postgres_url):
    """A processor whose database refuses some tasks, each in a record of its own."""
    with new_processor() as processor:
        processor.fresh_status()  # it has migrated
        with psycopg.connect(postgres_url) as connection:
            connection.execute(REFUSE)
        yield processor


def test_a_refused_task_is_listed_shown_retried_and_discarded(refusing, postgres_url):
    processor = refusing
    fit = [own(task(), execution(), task_id=f"fit-{number}") for number in range(3)]
    note = {"note": f"ask {SECRET}", SECRET: True, "card": CARD, "ssn": 78051120, "turns": 3}
    unfit = [own(task(), execution(attributes=note), task_id=f"unfit-{n}") for n in range(2)]
    for mine in (*fit, *unfit):
        processor.send(*mine.spans)
    processor.wait_for(lambda status: any("dead letters" in why for why in status.health.reasons))
    wait_until(lambda: processor.terms()["dead_lettered"] == 4)
    processor.settle()
    assert stored(processor) == {mine.task_id for mine in fit}
    processor.assert_balanced()
    assert processor.terms("records")["dead_lettered"] == 2

    listed = json.loads(processor.run("dead-letter", "list", "--json").stdout)
    assert {letter["trace_id"] for letter in listed} == {mine.trace_id.hex() for mine in unfit}
    codes = sorted(code for letter in listed for code in ("23514", "53400") if code in letter["error"])
    assert codes == ["23514", "53400"]  # a bad value, and more than a limit of the server allows
    first, second = (letter["id"] for letter in listed)

    for shown in (processor.run("dead-letter", "show", first), processor.run("dead-letter", "show", first, "--json")):
        assert shown.returncode == 0, shown.stderr
        assert "invoke_agent" in shown.stdout
        assert not [planted for planted in (SECRET, str(CARD), "78051120") if planted in shown.stdout]
        assert "turns" in shown.stdout

    discarded = processor.run("dead-letter", "discard", second, "--author", "ann", "--reason", f"{SECRET} asked")
    assert (discarded.returncode, discarded.stdout) == (0, "discarded 1\n")
    assert '"author": "ann"' in processor.log
    assert " asked" in processor.log
    assert SECRET not in processor.log
    (decision,) = json.loads(processor.run("quarantine", "audit", "--action", "discard-letter", "--json").stdout)
    (gone,) = (letter for letter in listed if letter["id"] == second)
    assert decision["id"] == str(point_id(bytes.fromhex(gone["trace_id"]), bytes.fromhex(gone["span_id"])))
    assert decision["author"] == "ann"
    assert decision["reason"].endswith(" asked")
    assert SECRET not in decision["reason"]
    unknown = processor.run("dead-letter", "discard", second, "--author", "bob")
    assert (unknown.returncode, "there is no dead letter" in unknown.stderr) == (1, True)
    assert processor.rows("SELECT author FROM benchmark_data.audit") == [{"author": "ann"}]
    with psycopg.connect(postgres_url) as connection:
        connection.execute("DROP TRIGGER refuse ON benchmark_data.point_keys")
    retried = processor.run("dead-letter", "retry")
    assert retried.stdout.startswith("sealed 1 anew")
    wait_until(lambda: len(stored(processor)) == 4)
    processor.settle()
    processor.assert_balanced()
    assert processor.terms()["dead_lettered"] == 0
    assert not [why for why in processor.status().health.reasons if "dead" in why]
    missing = processor.run("dead-letter", "show", first)
    assert missing.returncode == 1
    assert "there is no dead letter" in missing.stderr


def test_without_a_processor_the_command_does_it_itself(refusing):
    processor = refusing
    processor.send(*own(task(), task_id="unfit-1").spans)
    wait_until(lambda: processor.terms()["dead_lettered"] == 1)
    processor.stop()
    (letter,) = json.loads(processor.run("dead-letter", "list", "--json").stdout)
    assert processor.run("dead-letter", "retry", letter["id"]).returncode == 0
    assert json.loads(processor.run("dead-letter", "list", "--json").stdout) == []
    processor.start()
    wait_until(lambda: processor.terms()["dead_lettered"] == 1)
    processor.assert_balanced()
    processor.stop()
    discarded = processor.run("dead-letter", "discard", f"{letter['id'][:32]}.0", "--author", "ann")
    assert "there is no dead letter" in discarded.stderr  # a retry is a new seal, with an id of its own
    (letter,) = json.loads(processor.run("dead-letter", "list", "--json").stdout)
    assert processor.run("dead-letter", "discard", letter["id"], "--author", "ann").returncode == 0
    processor.start()
    assert processor.terms()["discarded"] == 1
    processor.assert_balanced()


def test_a_task_that_kills_its_worker_is_found_and_buried(new_processor, tmp_path):
    processor = poisoned(new_processor(FLUSH_RECORDS="3", FLUSH_INTERVAL="1h"), tmp_path / "site")
    with processor:
        good = [own(task(), execution(), task_id=f"good-{number}") for number in range(2)]
        bad = own(task(), execution(attributes={"note": WORD}), task_id="bad")
        for mine in (good[0], bad, good[1]):
            processor.send(*mine.spans)
        wait_until(lambda: processor.terms()["dead_lettered"] == 2)
        wait_until(lambda: stored(processor) == {"good-0", "good-1"})
        processor.settle()
        processor.assert_balanced()
        (letter,) = json.loads(processor.run("dead-letter", "list", "--json").stdout)
        assert letter["trace_id"] == bad.trace_id.hex()
        assert "a worker process ended unexpectedly" in letter["error"]


def test_a_task_whose_worker_never_gets_done_is_buried_too(new_processor, tmp_path):
    """A worker that is stopped meanwhile is ended as well, and what it had is done by the next."""
    patience = {"WORKER_TIMEOUT": "2s", "DATABASE_TIMEOUT": "2s"}
    processor = poisoned(new_processor(**patience), tmp_path / "site", LOOPS)
    with processor:
        first, second = (own(task(), task_id=f"good-{number}") for number in range(2))
        processor.send(*first.spans)
        wait_until(lambda: stored(processor) == {"good-0"})
        (worker,) = processor.workers
        worker.suspend()
        processor.send(*second.spans)
        wait_until(lambda: stored(processor) == {"good-0", "good-1"})
        assert ended(worker)
        bad = own(task(), execution(attributes={"note": WORD}), task_id="bad")
        processor.send(*bad.spans)
        for tries in range(1, 4):  # each with patience of its own
            wait_until(partial(has_hung, processor, tries))
        wait_until(lambda: processor.terms()["dead_lettered"] == 2)
        processor.settle()
        processor.assert_balanced()
        (letter,) = json.loads(processor.run("dead-letter", "list", "--json").stdout)
        assert "took longer than 4 s, and was ended" in letter["error"]
        assert 'sitecustomize.py", line 15 in taste' in processor.log, "where it hung"
