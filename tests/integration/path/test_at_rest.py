"""The real processor's data directory, every byte of it, with its own PostgreSQL inside: what nobody is to read."""

from __future__ import annotations

import secrets
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from support.at_rest import holding
from support.embedded import server_processes
from support.lifecycle import evaluation, execution, foreign, route, task, tool_call, value_of
from support.postgres import reachable_folder
from support.processor import Processor, own, wait_for_end


def keys(data_dir: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (data_dir / "journal" / "keys").iterdir()}


@pytest.fixture
def processor() -> Iterator[Processor]:
    """With the embedded database in its data directory, as in use."""
    with reachable_folder() as folder:
        processor = Processor(folder / "data", "embedded", GRACE="100ms")
        try:
            yield processor
        finally:
            processor.abandon()
            left = server_processes(processor.data_dir / "database")  # of a processor that was killed last
            for process in left:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            wait_for_end(left)


def test_what_no_record_takes_is_never_on_the_disk_in_clear_and_its_key_does_not_stay(processor: Processor) -> None:
    """Killed while the task is open, killed when it is stored, and stopped."""
    secret = secrets.token_hex(16)
    mine = own(task(), route(), execution(), tool_call(), foreign(5), evaluation())
    for span in mine.spans:
        span.attributes.append(KeyValue(key="not.in.the.contract", value=value_of(secret)))
    processor.start()
    processor.send(*mine.spans[1:])  # without its task, so it stays open
    assert holding(processor.data_dir, secret.encode()) == set()
    wait_for_end(processor.kill())
    assert holding(processor.data_dir, secret.encode()) == set()
    before = keys(processor.data_dir)
    assert len(before) == 1
    journal = processor.data_dir / "journal"
    for path in (journal, *journal.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path

    processor.start()
    processor.send(mine.spans[0])
    processor.settle()
    processor.assert_balanced()
    wait_for_end(processor.kill())
    assert holding(processor.data_dir, secret.encode()) == set()
    # So the search sees what is there: ids in the journal's keys, and the record.
    assert "journal/data.mdb" in holding(processor.data_dir, mine.trace_id)
    assert any(name.startswith("database/") for name in holding(processor.data_dir, mine.task_id.encode()))

    before |= keys(processor.data_dir)
    processor.start()
    processor.stop()
    assert keys(processor.data_dir) == {}
    for key in before.values():
        assert holding(processor.data_dir, key) == set()
    assert holding(processor.data_dir, secret.encode()) == set()


def test_keys_that_others_could_read_stop_the_start(new_processor) -> None:
    with new_processor() as processor:
        pass
    (processor.data_dir / "journal" / "keys").chmod(0o750)
    refused = processor.run("serve")
    assert refused.returncode == 1
    (line,) = [line for line in refused.stderr.splitlines() if line.startswith("otel-benchmark:")]
    assert f"{processor.data_dir / 'journal' / 'keys'} is open to other users (mode 0750)" in line
    assert "chmod go= " in line


def test_a_lost_key_is_told_by_health_and_the_processor_goes_on(new_processor) -> None:
    processor = new_processor().start()
    lost = own(task(), route(), execution())
    processor.send(*lost.spans[1:])
    wait_for_end(processor.kill())
    (key,) = (processor.data_dir / "journal" / "keys").iterdir()
    key.unlink()
    processor.start()
    (reason,) = processor.status().health.reasons
    assert f"1 entries can't be read: the key {key} can't be read: No such file" in reason
    mine = own(task(), route(), execution())
    processor.send(*mine.spans)
    processor.settle()
    assert processor.record(mine.task_id)
    processor.assert_balanced()
    assert processor.terms()["open"] == 2
    processor.stop()
