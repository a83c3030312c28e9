"""A run of a few seconds: everything that a long one tells is told. Linux."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

TESTS = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(300)
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_a_short_run_tells_what_a_long_one_tells(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(TESTS), "SOAK_SECONDS": "4", "SOAK_FOLDER": str(tmp_path / "soak")}
    told = subprocess.run(
        [sys.executable, "-m", "soak"], env=environment, capture_output=True, text=True, check=False, timeout=280
    )
    assert told.returncode == 0, told.stderr
    assert "the run is too short to tell a trend" in told.stdout
    with (tmp_path / "soak/samples.csv").open() as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    first, last = rows[0], rows[-1]
    assert last["at"] >= 4
    assert 0 < first["received"] < last["received"]
    assert 0 < last["stored"] <= last["received"]
    for part in ("front", "workers", "forwarder", "postgres"):
        assert max(row[part] for row in rows) > 5, f"MiB of the {part}"
    assert last["journal_file"] >= last["journal_live"] > 0
    ET.fromstring((tmp_path / "soak/soak.svg").read_text())
    assert (tmp_path / "soak/summary.txt").read_text().strip() in told.stdout
