"""Run the arbiter over a day's tasks: `python -m collector_processor.demo.arbiter --tasks 240 --seed 7`."""

from __future__ import annotations

import argparse
import json
import logging
import secrets
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from collector_processor.demo.arbiter.day import Day
from collector_processor.demo.arbiter.evaluator import Evaluator
from collector_processor.demo.arbiter.router import Router
from collector_processor.demo.arbiter.service import Arbiter
from collector_processor.demo.arbiter.staff import STAFF
from collector_processor.demo.arbiter.workload import draw_tasks


def main(arguments: Sequence[str] | None = None) -> int:
    """Work through the tasks. With `--json` each one is a line on stdout, and the last line sums up."""
    parser = argparse.ArgumentParser(prog="python -m collector_processor.demo.arbiter", description=__doc__)
    parser.add_argument("--tasks", type=int, default=240, help="how many tasks (default 240)")
    parser.add_argument("--seed", type=int, default=7, help="which tasks (default 7)")
    parser.add_argument("--json", action="store_true", help="report progress as JSON lines")
    parser.add_argument("--verbose", action="store_true", help="log every task")
    options = parser.parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO if options.verbose else logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )

    # Whoever ends us politely finds no folder left behind.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))

    def report(event: dict[str, object]) -> None:
        if options.json:
            print(json.dumps(event), flush=True)

    with tempfile.TemporaryDirectory(prefix="arbiter-") as root:
        router = Router(STAFF, options.seed)
        arbiter = Arbiter(STAFF, router, Evaluator(secrets.token_bytes(32)), Path(root))
        summary = Day(arbiter, report).work(draw_tasks(options.tasks, options.seed))
    if options.json:
        report({"event": "summary", **summary})
    else:
        print("\n".join(f"{name:>14} {value}" for name, value in summary.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
