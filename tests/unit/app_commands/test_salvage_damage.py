"""However a closed journal was damaged: a start refuses it in words or works, and what is readable can be got out."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.journals import DATA, closed_journal, copied, settings_of, start

from collector_processor.app.commands.salvage import check, export
from collector_processor.errors import JournalError


@pytest.fixture(scope="module")
def child() -> Iterator[ProcessPoolExecutor]:
    """A process that may die of what it reads; then so does the test."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        yield pool


def started(folder: Path) -> str | None:
    """What a start says against it."""
    try:
        start(folder)
    except JournalError as error:
        return str(error)
    return None


@st.composite
def changed(draw, content: bytes) -> bytes:
    """Some bytes of it replaced, or its end missing."""
    data = bytearray(content)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        new = draw(st.binary(min_size=1, max_size=64))
        data[at : at + len(new)] = new
    cut = draw(st.booleans()) if data else False
    return bytes(data[: draw(st.integers(0, len(data)))] if cut else data)


def test_an_undamaged_one_is_read_and_starts():
    with copied() as folder:
        assert check(settings_of(folder)).sound
        start(folder)


@settings(max_examples=5)
@given(changed(closed_journal()[DATA]))
def test_a_file_that_was_changed_kills_nobody(child, content):
    files = {path: inside for path, inside in closed_journal().items() if path.name != "clean"} | {DATA: content}
    with copied(files) as folder:
        try:
            checked = check(settings_of(folder))
            exported = export(settings_of(folder), folder / "out")
        except JournalError as error:
            assert "has format" in str(error)  # noqa: PT017  # the other ending of two
            return
        assert exported.spans == checked.readable_spans
        assert exported.unreadable == checked.entries_in_trouble
        told = child.submit(started, folder).result(60)
        assert told is None or "otel-benchmark journal export" in told
