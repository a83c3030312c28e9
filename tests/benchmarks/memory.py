"""What an open span costs in memory: RssAnon of a front per span, tasks of eight spans that arrive together. Linux.

RssAnon and not RSS, because the journal's mapped file is counted there too. The same is measured after a restart,
when the index is rebuilt from the journal's keys, and how fast that goes.

Usage: PYTHONPATH=tests python -m benchmarks.memory [SPANS]
"""

from __future__ import annotations

import asyncio
import gc
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.load import requests

from collector_processor.app.journalling.front import Front
from collector_processor.config import Settings
from collector_processor.model.stages import Signal

GOAL = 100
"""Bytes a span."""
SPANS_A_TASK = 8


def resident() -> int:
    """Anonymous resident bytes of this process."""
    gc.collect()
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024
    raise SystemExit("RssAnon is not told here: run this on Linux")


async def measure(spans: int) -> float:
    """Bytes a span in a front that took them in."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder), grace=60.0)
        front = Front(settings, lambda _: None)
        await front.recover()
        for body in requests(1000, 0):  # what the first requests bring along, once
            await front.accept(body, Signal.TRACES)
        before = resident()
        for body in requests(spans // SPANS_A_TASK, 0):
            await front.accept(body, Signal.TRACES)
        taken = (resident() - before) / spans
        await front.stop()
        del front
        before = resident()
        began = time.process_time()
        again = Front(settings, lambda _: None)
        await again.recover()
        seconds = time.process_time() - began
        print(f"{spans} open spans in tasks of {SPANS_A_TASK}")
        print(f"  taken in        {taken:6.1f} bytes a span (goal: at most {GOAL})")
        print(f"  after a restart {(resident() - before) / spans:6.1f} bytes a span")
        print(f"  index rebuilt at {spans / seconds:,.0f} spans a CPU-second")
        await again.stop()
        return taken


def main() -> int:
    spans = int(sys.argv[1]) if len(sys.argv) > 1 else 300_000
    return int(asyncio.run(measure(spans)) > GOAL)


if __name__ == "__main__":
    sys.exit(main())
