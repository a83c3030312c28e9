"""What a running processor is like at one moment: memory by its parts, journal, lag, and spans so far. Linux."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from benchmarks.processor import Running

from collector_processor.app.control import ask
from collector_processor.app.reporting.status import Status

MIB: Final = float(1 << 20)
_COUNTED: Final = ("Pss_Anon:", "Pss_Shmem:")


class Sample(NamedTuple):
    """Memory in MiB by part; the journal in MiB; ages in seconds; spans since the processor's start."""

    at: float
    """Seconds since the load began."""
    memory: dict[str, float]
    journal_live: float
    journal_file: float
    oldest_open: float
    """How long the oldest task is open: what a task takes, and its grace."""
    oldest_sealed: float
    """How long the oldest batch waits for the database."""
    received: int
    stored: int
    """That have left the journal."""
    behind: float
    """Of who sends, in seconds."""


def sample(running: Running, began: float, behind: float) -> Sample:
    """Look once; `began` is of `time.monotonic`."""
    status = msgspec.convert(ask(running.folder, "status", timeout=60), Status)
    spans = next(each for each in status.equations if each.name == "journal spans")
    return Sample(
        time.monotonic() - began,
        {part: sum(map(_resident, (each.pid for each in members))) for part, members in running.parts().items()},
        status.journal.bytes / MIB,
        (running.folder / "journal" / "data.mdb").stat().st_size / MIB,
        status.place.oldest_open_task_seconds or 0.0,
        status.database.lag_seconds,
        spans.total,
        spans.total - spans.terms["open"] - spans.terms["sealed"],
        behind,
    )


def _resident(pid: int) -> float:
    """Resident MiB of a process but for files that it maps, such as the journal; what several share is divided."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):  # it ended since it was listed
        return 0.0
    return sum(int(line.split()[1]) / 1024 for line in lines if line.startswith(_COUNTED))
