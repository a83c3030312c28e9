"""`make fuzz`: every target in a process of its own, or those that are named, led by coverage through atheris.

Usage: PYTHONPATH=tests python -m fuzzing [TARGET ...]; FUZZ_SECONDS (60) for each. What makes one fail is kept in
.fuzz/, and is repeated with `python -m fuzzing TARGET FILE`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HOME = Path(".fuzz")


def main(arguments: list[str]) -> int:
    """Run them one after the other; 1 when one failed."""
    from fuzzing.targets import TARGETS  # noqa: PLC0415  # a run of one target imports it under atheris

    if len(arguments) == 2 and Path(arguments[1]).is_file():
        TARGETS[arguments[0]].run(Path(arguments[1]).read_bytes())
        return 0
    failed = []
    for name in arguments or TARGETS:
        print(f"\n== {name}", flush=True)
        corpus = HOME / "corpus" / name
        corpus.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(TARGETS[name].seeds):
            (corpus / f"seed-{number}").write_bytes(seed)
        options = [
            f"-max_total_time={os.environ.get('FUZZ_SECONDS', '60')}",
            "-timeout=10",
            "-rss_limit_mb=2048",
            "-max_len=65536",
            "-print_final_stats=1",
            f"-artifact_prefix={HOME}/{name}-",
        ]
        if subprocess.run([sys.executable, "-c", _ONE, name, *options, str(corpus)], check=False).returncode:
            failed.append(name)
    print(f"\n{'failed: ' + ', '.join(failed) if failed else 'nothing was found'}")
    return 1 if failed else 0


_ONE = """
import sys
import atheris
with atheris.instrument_imports(include=["collector_processor"]):
    from fuzzing.targets import TARGETS
name = sys.argv.pop(1)
atheris.Setup(sys.argv, TARGETS[name].run)
atheris.Fuzz()
"""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
