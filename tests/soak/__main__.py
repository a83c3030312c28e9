"""`make soak`: half of what a processor can take, for half an hour: is it the same at the end as after its warm-up?

A real `serve` with its embedded PostgreSQL, deep samples and a forwarder takes tasks of 8 lifecycle and 24 foreign
spans over OTLP/HTTP. How much it can take is measured before, with another one: spans a second from the first request
until all is stored, with who sends on the same machine. SOAK_SECONDS (1800) and SOAK_FOLDER (build/soak) set how long,
and where samples, charts and the summary go. What the journal forgets after ten or fifteen minutes it forgets after a
twelfth of the run here, so that every run sees many such times. Ends with 1 where something grows. Half an hour at
10,000 spans a second makes 8 GB in the temporary folder, which go at the end.

Usage: PYTHONPATH=tests python -m soak
"""

from __future__ import annotations

import csv
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.processor import Running, serve
from soak.backend import taking
from soak.chart import charts
from soak.load import Load
from soak.sampling import Sample, sample
from soak.verdict import MEMORY_SHARE, Verdict, judge

from collector_processor.app.control import ask

LOOKS: Final = 360
"""Samples of a run."""
SHORTEST_LOOK: Final = 0.5
CALIBRATION: Final = (1.0, 60.0)
"""At least and at most so many seconds, a tenth of the run between."""
SHORTEST_MEMORY: Final = 10.0


@contextmanager
def processor(memory: float) -> Iterator[Running]:
    """A new one, which forwards a tenth, and remembers stored tasks and foreign traces for so many seconds."""
    with tempfile.TemporaryDirectory(prefix="otel-benchmark-soak-") as folder, taking() as backend:
        Path(folder).chmod(0o755)
        settings = {
            "GRACE": "2s",
            "FLUSH_INTERVAL": "1s",
            "FORWARD_ENDPOINT": backend,
            "FORWARD_RATIO": "0.1",
            "CLOSED_TIMEOUT": f"{memory:.0f}s",
            "FOREIGN_TIMEOUT": f"{memory:.0f}s",
        }
        with serve(Path(folder), **settings) as running:
            yield running


def maximum(seconds: float) -> float:
    """Spans a second that it takes and stores."""
    with processor(SHORTEST_MEMORY) as running:
        began = time.monotonic()
        with Load(running.otlp) as load:
            time.sleep(seconds)
        ask(running.folder, "flush", timeout=600)
        return load.sent / (time.monotonic() - began)


def soak(rate: float, seconds: float) -> tuple[list[Sample], int]:
    """Its samples, and how many requests were refused."""
    pause = max(SHORTEST_LOOK, seconds / LOOKS)
    samples: list[Sample] = []
    with processor(max(SHORTEST_MEMORY, seconds * MEMORY_SHARE)) as running:
        began = time.monotonic()
        with Load(running.otlp, rate) as load:
            while time.monotonic() - began < seconds:
                time.sleep(pause)
                samples.append(sample(running, began, load.behind))
    return samples, load.refusals


def summary(samples: Sequence[Sample], verdict: Verdict, most: float, refusals: int) -> str:
    """What is printed and kept."""
    first, last = samples[0], samples[-1]
    length = last.at - first.at or 1.0
    rates = f"{(last.received - first.received) / length:,.0f} received, {(last.stored - first.stored) / length:,.0f}"
    if not verdict.judged:
        ending = "no verdict: the run is too short to tell a trend"
    elif verdict.problems:
        ending = f"NOT FLAT: {', '.join(verdict.problems)}"
    else:
        ending = "flat: after the warm-up neither memory nor journal nor lag surely grows"
    return "\n".join(
        [
            f"maximum             {most:9,.0f} spans a second, received and stored",
            f"this run            {last.at:9,.0f} s, {rates} stored a second, {refusals} refusals",
            *map(str, verdict.trends),
            ending,
        ]
    )


def keep(folder: Path, samples: Sequence[Sample], words: str, title: str) -> None:
    """Write charts, summary and samples."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "soak.svg").write_text(charts(samples, title), encoding="utf-8")
    (folder / "summary.txt").write_text(words + "\n", encoding="utf-8")
    with (folder / "samples.csv").open("w", encoding="utf-8", newline="") as file:
        rows = [each._asdict() | each.memory for each in samples]
        writer = csv.DictWriter(file, [name for name in rows[-1] if name != "memory"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def main() -> int:
    seconds = float(os.environ.get("SOAK_SECONDS", "1800"))
    folder = Path(os.environ.get("SOAK_FOLDER", "build/soak"))
    shortest, longest = CALIBRATION
    most = maximum(min(max(seconds / 10, shortest), longest))
    print(f"at most {most:,.0f} spans a second; {seconds:,.0f} s at half of that", flush=True)
    samples, refusals = soak(most / 2, seconds)
    verdict = judge(samples)
    words = summary(samples, verdict, most, refusals)
    keep(folder, samples, words, f"{seconds / 60:,.3g} minutes at {most / 2:,.0f} spans a second, half of the maximum")
    print(f"{words}\n{folder}/soak.svg, samples.csv, summary.txt")
    return int(verdict.judged and bool(verdict.problems))


if __name__ == "__main__":
    sys.exit(main())
