"""`make bench`: every benchmark, each in a process of its own, or those that are named.

Usage: PYTHONPATH=tests python -m benchmarks [NAME ...]
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main(names: list[str]) -> int:
    """Run them one after the other; 1 when one missed its bound or failed."""
    missed = []
    for name in names or sorted(path.stem for path in HERE.glob("[!_]*.py") if _runs(path)):
        print(f"\n== {name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], cwd=HERE.parents[1], check=False).returncode:
            missed.append(name)
    print(f"\n{'missed: ' + ', '.join(missed) if missed else 'all within their bounds'}")
    return 1 if missed else 0


def _runs(path: Path) -> bool:
    """Whether it is a benchmark; the others hold what several of them measure."""
    return '__name__ == "__main__"' in path.read_text(encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
