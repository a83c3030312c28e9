"""What a deep sample costs, facet by facet: time of the analyst, privacy pass included, and bytes of content.

Usage: python -m benchmarks.analysers [ROUNDS]

Conversations are the real trajectories of tau-bench, where they are here, each model call with all that was said
before it. Changes are to files of this program. The judge is a stub that answers at once, so its figure is what
asking costs without the model.
"""

from __future__ import annotations

import asyncio
import difflib
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from support.analysis import replayed, work_of
from support.lifecycle import execution
from support.model_endpoint import model_endpoint

from collector_processor.analyse import Work
from collector_processor.analyse.endpoint import Endpoint
from collector_processor.analyse.pool import Asking, Pool
from collector_processor.app.analysing.analyst import COMMAND
from collector_processor.app.protocol import BeginAnalysis, encode
from collector_processor.model.samples import Sample
from collector_processor.model.sampling import Facet
from otel_benchmark import attributes as a

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("OTEL_BENCHMARK_SHARED") or ROOT.parent / "shared")
TRAJECTORIES = SHARED / "data/tau-bench/gpt-4o-airline.json"
EVERYTHING = (Facet.CONVERSATION, Facet.JUDGE)


def talks() -> list[list[dict[str, Any]]]:
    """Real trajectories, else made ones of 30 messages."""
    if TRAJECTORIES.exists():
        return [each["traj"] for each in json.loads(TRAJECTORIES.read_text())]
    words = "All that was said about the reservation, in some detail. " * 20
    roles = ("user", "assistant")
    return [[{"role": roles[at % 2], "content": f"{at} {words}"} for at in range(30)] for _ in range(20)]


def changes() -> list[dict[str, str]]:
    """Changes of several places to the larger files of this program: as contents, and as a patch alone."""
    found = []
    for path in sorted((ROOT / "collector_processor").rglob("*.py")):
        before = path.read_text(encoding="utf-8")
        if len(before) < 6000:
            continue
        after = before.replace("self._", "self.", 40).replace("\n    return ", "\n    # TODO\n    return ", 3)
        if after == before:
            continue
        name = str(path.relative_to(ROOT))
        lines = before.splitlines(keepends=True), after.splitlines(keepends=True)
        found.append({a.DIFF_BEFORE: json.dumps({name: before}), a.DIFF_AFTER: json.dumps({name: after})})
        found.append({a.DIFF_PATCH: "".join(difflib.unified_diff(*lines, f"a/{name}", f"b/{name}"))})
    return found


async def measure(pool: Pool, title: str, works: Sequence[Work]) -> list[Sample]:
    """Print a row of the table."""
    samples = []
    walls = []
    for work in works:
        began = time.perf_counter()
        samples.append(await pool.analyse(work))
        walls.append(time.perf_counter() - began)
    milliseconds = sorted(1000 * sample.seconds for sample in samples)
    sizes = sorted(len(sample.content) for sample in samples)
    statuses = ", ".join(sorted({sample.status for sample in samples}))
    print(
        f"{title:28} {len(samples):5} {median(milliseconds):8.1f} {milliseconds[int(0.95 * len(samples))]:8.1f}"
        f" {1000 * median(walls):8.1f} {median(sizes) / 1024:9.1f} {sizes[-1] / 1024:9.1f}  {statuses}"
    )
    return samples


async def run(rounds: int, url: str) -> None:
    """Print the table."""
    begin = BeginAnalysis(
        tenant_key=None,
        privacy_keys=(("k1", b"a key of sixteen bytes or more"),),
        judge=Endpoint(url, "stub"),
        rubric="# benchmark\n\nJudge.",
        votes=3,
        reflection=None,
        reflection_prompt="",
        max_bytes=4 << 20,
        memory_bytes=1 << 30,
        log_level="warning",
        log_format="console",
    )
    pool = Pool(COMMAND, encode(begin), asking={Facet.JUDGE: Asking(3, 9, 1_000_000)})
    try:
        began = time.perf_counter()
        await pool.analyse(work_of(execution()))
        (process,) = psutil.Process().children()
        resident = process.memory_info().rss / (1 << 20)
        print(f"start of an analyst {time.perf_counter() - began:.2f} s, then {resident:.0f} MiB resident\n")
        head = ("facet", "samples", "ms", "ms p95", "ms wall", "KiB", "KiB most")
        print("{:26} {:>7} {:>8} {:>8} {:>8} {:>9} {:>9}  status".format(*head))
        spans = [replayed(talk) for talk in talks()[: 20 * rounds]]
        await measure(pool, "conversation", [work_of(*each) for each in spans])
        code = [execution(attributes=each) for each in changes()[: 20 * rounds]]
        await measure(pool, "ast, contents", [work_of(each, facet=Facet.AST) for each in code[::2]])
        await measure(pool, "ast, patch alone", [work_of(each, facet=Facet.AST) for each in code[1::2]])
        judged = [work_of(*each, facet=Facet.JUDGE, kept=EVERYTHING) for each in spans]
        await measure(pool, "judge, 3 votes of a stub", judged)
        said = execution(attributes={a.SELF_REFLECTION: "I should have asked before I cancelled it. " * 40})
        await measure(pool, "reflection, reported", [work_of(said, facet=Facet.REFLECTION)] * 10 * rounds)
        print(f"\nresident at the end {process.memory_info().rss / (1 << 20):.0f} MiB")
    finally:
        await pool.stop()


def main() -> int:
    """Run it."""
    with model_endpoint() as endpoint:
        asyncio.run(run(int(sys.argv[1]) if len(sys.argv) > 1 else 2, endpoint.url))
    return 0


if __name__ == "__main__":
    sys.exit(main())
