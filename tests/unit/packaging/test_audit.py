"""What `.ci/audit` makes of pip-audit's report: a stand-in writes it, because no test can count on an index."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

AUDIT = Path(__file__).parents[3] / ".ci" / "audit"

pytestmark = pytest.mark.skipif(not AUDIT.exists(), reason="only a checkout has it")

GOOD: dict[str, Any] = {"name": "good", "version": "1", "vulns": []}
BAD: dict[str, Any] = {"name": "bad", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}]}
UNKNOWN: dict[str, Any] = {"name": "unknown", "skip_reason": "not found"}


def audit(folder: Path, found: list[dict[str, Any]] | None) -> tuple[int, str]:
    """Exit status and words."""
    report = json.dumps({"dependencies": found}) if found is not None else "no answer"
    (folder / "report").write_text(report)
    (folder / "bin").mkdir()
    program = folder / "bin" / "pip-audit"
    program.write_text(f'#!/bin/sh\nwhile [ "$1" != --output ]; do shift; done\ncp "{folder}/report" "$2"\nexit 1\n')
    program.chmod(0o755)
    (folder / ".ready").touch()
    said = subprocess.run([str(AUDIT), sys.executable, str(folder)], capture_output=True, text=True, check=False)
    return said.returncode, said.stdout + said.stderr


@pytest.mark.parametrize(
    ("found", "status", "words"),
    [
        ([GOOD], 0, "audit: no known vulnerability in 1 packages"),
        ([GOOD, BAD], 1, "audit: bad 2: PYSEC-1, mended in 3"),
        ([GOOD, UNKNOWN], 1, "audit: not known to the index: unknown"),
        ([UNKNOWN], 0, "audit: SKIPPED, this index knows nothing of vulnerabilities (1 packages)"),
        (None, 0, "audit: SKIPPED, the index could not be asked: no answer"),
    ],
)
def test_only_what_is_known_to_be_bad_or_is_unknown_alone_fails(tmp_path, found, status, words) -> None:
    assert audit(tmp_path, found) == (status, words + "\n")
