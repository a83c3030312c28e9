"""After a power cut the journal holds what was acknowledged, whichever of its unsynced writes reached the disk.

The real journal works under strace; from its calls we build what a disk could hold at any moment, and open each such
image as a start would. This tests our use of LMDB and of key files (settings, the order of syncs and answers), not LMDB
itself. POWER_CUTS sets how many images are built.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import pytest
from support.disk import Disk, Event, Said, Synced, record, tracer
from support.journal_writer import JOURNAL_BYTES, State

from collector_processor.errors import JournalError
from collector_processor.journal.environment import Environment

CUTS = int(os.environ.get("POWER_CUTS", "48"))
TESTS = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.timeout(120 + 2 * CUTS)


class Known(NamedTuple):
    """What the process had said at one moment of the recording."""

    states: list[str]
    sequences: dict[str, frozenset[int]]
    acknowledged: frozenset[int]


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder at which a journal was at work, as `recording` tells."""
    return tmp_path_factory.mktemp("power") / "data"


@pytest.fixture(scope="module")
def recording(journal: Path) -> list[Event]:
    if problem := tracer():
        pytest.skip(problem)
    journal.mkdir(mode=0o700)
    command = [sys.executable, "-m", "support.journal_writer", str(journal)]
    return record(command, journal, {**os.environ, "PYTHONPATH": str(TESTS)})


def sequences_of(text: str) -> frozenset[int]:
    return frozenset(int(number) for number in text.split(",") if number)


def known_at(events: list[Event]) -> Known:
    """What was said until then."""
    states: list[str] = []
    sequences: dict[str, frozenset[int]] = {}
    acknowledged: set[int] = set()
    for event in events:
        match event.text.split(" ") if isinstance(event, Said) else []:
            case ["state", _, digest, numbers]:
                states.append(digest)
                sequences[digest] = sequences_of(numbers.strip())
            case ["ack", number]:
                acknowledged.add(int(number))
            case ["done", numbers]:
                acknowledged -= sequences_of(numbers.strip())
            case _:
                pass
    return Known(states, sequences, frozenset(acknowledged))


def state_of(image: Path) -> tuple[str, frozenset[int]]:
    """Open an image as a start does, in a process that may die of it."""
    with Environment(image / "journal", JOURNAL_BYTES) as environment:
        state = State(environment)
    return state.digest, state.sequences


def test_what_was_acknowledged_is_there_after_a_power_cut(
    recording: list[Event], journal: Path, tmp_path: Path
) -> None:
    states = known_at(recording).states
    first = next(number for number, event in enumerate(recording) if isinstance(event, Said))
    chance = random.Random(7)
    moments = sorted(chance.randrange(first + 1, len(recording) + 1) for _ in range(CUTS))
    disk, played = Disk(journal), 0
    failures: list[str] = []
    with ProcessPoolExecutor(1, get_context("spawn")) as child:
        for number, moment in enumerate(moments):
            for event in recording[played:moment]:
                disk.play(event)
            played = moment
            known = known_at(recording[:moment])
            image = tmp_path / str(number)
            disk.build(image, random.Random(number))
            digest, sequences = child.submit(state_of, image).result()
            # The commit that was under way may have been done, though nobody had heard of it.
            if digest not in states[len(known.states) - 1 : len(known.states) + 1]:
                failures.append(f"image {number}, after {moment} calls: neither the last commit nor the next one")
            if lost := known.acknowledged - sequences:
                failures.append(f"image {number}, after {moment} calls: acknowledged and lost: {sorted(lost)}")
            shutil.rmtree(image)
    assert not failures


def test_a_first_start_that_was_cut_short_is_repeated_or_refused_in_words(
    recording: list[Event], journal: Path, tmp_path: Path
) -> None:
    """Before the first commit nothing was promised; but no image may kill who opens it."""
    first = next(number for number, event in enumerate(recording) if isinstance(event, Said))
    disk = Disk(journal)
    opened = refused = 0
    with ProcessPoolExecutor(1, get_context("spawn")) as child:
        for moment in range(first):
            disk.play(recording[moment])
            disk.build(image := tmp_path / str(moment), random.Random(moment))
            (image / "journal").mkdir(mode=0o700, exist_ok=True)
            try:
                assert child.submit(state_of, image).result()[1] == frozenset()
                opened += 1
            except JournalError as error:
                assert "is damaged" in str(error)  # noqa: PT017  # the other ending of two
                assert "move the folder away" in str(error)  # noqa: PT017
                refused += 1
    assert opened
    assert refused < opened


def test_a_disk_that_forgets_a_synced_write_is_found_out(recording: list[Event], journal: Path, tmp_path: Path) -> None:
    """Or the test above would hold whatever the journal did."""
    syncs = [event for event in recording if isinstance(event, Synced) and event.path.endswith("data.mdb")]
    disk = Disk(journal)
    for event in recording:
        if event not in syncs[-3:]:
            disk.play(event)
    last = known_at(recording).states[-1]
    found = set[str]()
    for number in range(8):
        disk.build(tmp_path / str(number), random.Random(number))
        opened = subprocess.run(
            [sys.executable, "-c", _OPEN, str(tmp_path / str(number) / "journal")],
            env={**os.environ, "PYTHONPATH": str(TESTS)},
            capture_output=True,
            text=True,
            check=False,
        )
        found.add(opened.stdout.strip())
    assert found - {last}


_OPEN = """
import sys
from pathlib import Path
from support.journal_writer import JOURNAL_BYTES, State
from collector_processor.journal.environment import Environment
print(State(Environment(Path(sys.argv[1]), JOURNAL_BYTES)).digest)
"""
