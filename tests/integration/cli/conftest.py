"""The command on a real database, in this process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.command import Run, Said

from collector_processor.cli import main


@pytest.fixture
def run(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command on an empty database of the test's own."""
    for name in list(os.environ):
        if name.startswith("COLLECTOR_PROCESSOR_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLLECTOR_PROCESSOR_DATABASE_URL", postgres_url)
    monkeypatch.setenv("COLLECTOR_PROCESSOR_DATA_DIR", str(tmp_path))
    # What commands set up for their own process must not outlive a test.
    monkeypatch.setattr("collector_processor.telemetry.configure", lambda _settings: None)

    def call(*arguments: str) -> Said:
        code = main(arguments)
        return Said(code, *capsys.readouterr())

    return call
