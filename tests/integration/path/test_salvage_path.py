"""A processor that doesn't start, or not on this disk: what it says, and how its spans get out and in again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.lifecycle import evaluation, execution, foreign, route, task, tool_call
from support.processor import Processor, own
from support.small_disk import SmallDisk, small_disk

NOWHERE = "postgresql://127.0.0.1:1/nowhere"


@pytest.fixture
def nearly_full(tmp_path: Path) -> Iterator[SmallDisk]:
    """A disk with room for two pages."""
    (tmp_path / "disk").mkdir()
    with small_disk(tmp_path / "disk", 8192) as disk:
        yield disk


def test_what_a_dead_processor_held_is_exported_and_taken_by_another(
    new_processor: Callable[..., Processor], postgres_url: str, tmp_path: Path
) -> None:
    mine = own(task(), route(), execution(), tool_call(), foreign(5), evaluation())
    dead = new_processor(NOWHERE, DRAIN_TIMEOUT="1s").start()
    dead.send(*mine.spans)
    assert "another process uses the journal" in dead.run("journal", "check").stderr
    dead.kill()
    checked = dead.run("journal", "check")
    assert (checked.returncode, "6 spans" in checked.stdout) == (0, True), checked
    exported = dead.run("journal", "export", str(tmp_path / "out"))
    assert exported.returncode == 0, exported
    assert "in clear" in exported.stderr
    with Processor(tmp_path / "other", postgres_url, GRACE="100ms") as other:
        for line in (tmp_path / "out" / "traces.jsonl").read_bytes().splitlines():
            assert other.post(line, "application/json").status == 200
        other.flush()
        assert other.record(mine.task_id)["completeness"]["seen"]
        assert other.terms("database spans")["in_points"] == len(mine.spans)


def test_a_full_disk_is_named_and_once_it_has_room_the_journal_begins(nearly_full: SmallDisk) -> None:
    processor = Processor(nearly_full.folder / "data", NOWHERE)
    processor.log_path = nearly_full.folder.with_name("full.log")
    refused = processor.run("serve")
    assert refused.returncode == 1, refused
    assert "No space left on device" in refused.stderr
    assert "Traceback" not in refused.stderr
    nearly_full.resize(1 << 20)
    with Processor(nearly_full.folder / "data", NOWHERE, JOURNAL_MAX_BYTES="1MiB", DRAIN_TIMEOUT="0s") as again:
        assert again.process.poll() is None
