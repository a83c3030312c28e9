"""A journal that nobody has open: what `journal check` says of it, and what `journal export` gets out."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.spans import Piece, request

from collector_processor.app.commands.salvage import Checked, check, export
from collector_processor.app.journalling.front import Front
from collector_processor.app.journalling.sealing import SECOND
from collector_processor.config import Settings
from collector_processor.errors import JournalError, JournalInUseError
from collector_processor.journal.environment import Environment
from collector_processor.journal.format import SEQUENCE
from collector_processor.model.stages import Signal
from collector_processor.receive.endpoints import ENDPOINTS
from collector_processor.receive.otlp_json import to_protobuf

NOW = 1_760_000_000
PAGE = 4096


def filled(folder: Path, requests: Sequence[bytes], *, seal: bool = False) -> Settings:
    """A journal that took these requests, and was closed."""
    settings = Settings(data_dir=folder, journal_max_bytes=64 << 20)

    async def work() -> None:
        front = Front(settings, lambda _: None, lambda: NOW * SECOND)
        await front.recover()
        for body in requests:
            await front.accept(body, Signal.TRACES)
        if seal:
            await front.flush()
        await front.stop()

    asyncio.run(work())
    return settings


def task(trace: int, spans: int = 1) -> bytes:
    return request([Piece(trace, 1, 0, "task"), *(Piece(trace, 2 + each, 1, "tool") for each in range(spans))])


def exported_ids(target: Path) -> list[tuple[bytes, bytes]]:
    """(trace, span) of every span of an export, read as a receiver would."""
    traces = next(endpoint for endpoint in ENDPOINTS if endpoint.signal is Signal.TRACES)
    return [
        (span.trace_id, span.span_id)
        for line in (target / "traces.jsonl").read_bytes().splitlines()
        for resource in traces.request.FromString(to_protobuf(line, traces)).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def test_a_sound_journal_is_told_so(tmp_path: Path) -> None:
    settings = filled(tmp_path, [task(1, spans=3), request([Piece(2, 9, 8, "tool")])], seal=True)
    before = (tmp_path / "journal" / "data.mdb").read_bytes()
    checked = check(settings)
    assert checked.sound
    assert (checked.readable_spans, checked.open_spans, checked.sealed_spans, checked.sealed_batches) == (5, 1, 4, 1)
    assert (tmp_path / "journal" / "data.mdb").read_bytes() == before


def test_what_is_left_of_it_is_exported_for_its_owner_alone(tmp_path: Path) -> None:
    duplicated = request([Piece(1, 2, 1, "tool"), Piece(1, 7, 1, "tool")])
    settings = filled(tmp_path / "data", [task(1), duplicated], seal=True)
    done = export(settings, tmp_path / "out")
    assert (done.spans, done.log_records, done.unreadable) == (3, 0, 0)
    assert sorted(exported_ids(tmp_path / "out")) == [
        ((1).to_bytes(16, "big"), span.to_bytes(8, "big")) for span in (1, 2, 7)
    ]
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "out").iterdir()} == {0o600}
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o700
    with pytest.raises(JournalError, match=r"traces\.jsonl can't be written: File exists"):
        export(settings, tmp_path / "out")


def test_a_journal_at_work_is_left_alone(tmp_path: Path) -> None:
    with Environment(tmp_path / "journal", 1 << 20), pytest.raises(JournalInUseError, match="stop it"):
        check(Settings(data_dir=tmp_path))


def test_where_there_is_none_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="there is no journal"):
        check(Settings(data_dir=tmp_path / "nowhere"))
    assert not (tmp_path / "nowhere").exists()


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    with Environment(tmp_path / "journal", 1 << 20) as environment, environment.lmdb.begin(write=True) as transaction:
        transaction.put(b"version", b"99", db=environment.databases["meta"])
    with pytest.raises(JournalError, match="format 99"):
        export(Settings(data_dir=tmp_path), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_garbled_value_is_named_and_its_neighbours_are_exported(tmp_path: Path) -> None:
    settings = filled(tmp_path / "data", [task(trace) for trace in (1, 2, 3)])
    folder = tmp_path / "data" / "journal"
    with Environment(folder, 64 << 20) as environment, environment.lmdb.begin(write=True) as transaction:
        cursor = transaction.cursor(db=environment.databases["spans"])
        assert cursor.set_range(SEQUENCE.pack(2))
        transaction.put(cursor.key(), bytes(len(cursor.value())), db=environment.databases["spans"])
    checked = check(settings)
    assert not checked.sound
    assert (checked.readable_spans, checked.unreadable_spans, checked.missing) == (4, 2, 0)
    assert checked.problems == ("journal entry 2 is damaged: its authentication tag doesn't match",)
    done = export(settings, tmp_path / "out")
    assert (done.spans, done.unreadable) == (4, 1)
    assert {trace[-1] for trace, _ in exported_ids(tmp_path / "out")} == {1, 3}


def test_a_garbled_page_costs_what_stood_on_it(tmp_path: Path) -> None:
    requests = [task(trace, spans=2) for trace in range(1, 301)]
    settings = filled(tmp_path / "data", requests)
    victim = _leaf_page_of(tmp_path / "data", 150)
    with (tmp_path / "data" / "journal" / "data.mdb").open("r+b") as file:
        file.seek(victim * PAGE)
        file.write(os.urandom(PAGE))
    checked = check(settings)
    assert checked.damage is not None
    assert not checked.sound
    assert checked.missing is not None
    assert 0 < checked.missing < 100
    done = export(settings, tmp_path / "out")
    assert done.spans == 900 - checked.missing
    got = {trace[-2:] for trace, _ in exported_ids(tmp_path / "out")}
    assert {(1).to_bytes(2, "big"), (300).to_bytes(2, "big")} < got


def test_a_processor_refuses_the_damaged_file_and_says_how_to_save_it(tmp_path: Path) -> None:
    settings = filled(tmp_path, [task(trace) for trace in range(1, 200)])
    (tmp_path / "journal" / "clean").unlink()
    os.truncate(tmp_path / "journal" / "data.mdb", 8 * PAGE)
    with pytest.raises(JournalError, match="journal export"):
        Front(settings, lambda _: None)
    checked: Checked = check(settings)
    assert checked.damage is not None


def _leaf_page_of(folder: Path, sequence: int) -> int:
    """The number of the page with a fragment's key, of those that are in use."""
    pattern = SEQUENCE.pack(sequence) + bytes(2) + sequence.to_bytes(16, "big")
    content = (folder / "journal" / "data.mdb").read_bytes()
    places = [at for at in range(0, len(content), PAGE) if pattern in content[at : at + PAGE]]
    return places[-1] // PAGE if len(places) == 1 else _newest(content, places)


def _newest(content: bytes, places: Sequence[int]) -> int:
    """Of copies that LMDB has written of a page, the one of the last transaction (its number stands in the header)."""
    return max(places, key=lambda at: int.from_bytes(content[at + 8 : at + 16], "little")) // PAGE
