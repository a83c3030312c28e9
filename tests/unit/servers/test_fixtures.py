"""A server that isn't on the machine is a skip with its reason, and a failure in CI."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TEST = """
def test_it(collector_binary): ...
def test_that(jaeger_binary): ...
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["servers.fixtures"]\n')
    (tmp_path / "test_it.py").write_text(TEST)
    return tmp_path


def outcome(project: Path, **variables: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "CI" and "PYTEST" not in name}
    environment |= {"PYTHONPATH": str(Path(__file__).parents[2]), "XDG_CACHE_HOME": str(project / "cache"), **variables}
    command = [sys.executable, "-m", "pytest", "-ra", "-p", "no:cacheprovider", "test_it.py"]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    return done.stdout


def test_it_is_skipped_and_says_why(project: Path) -> None:
    said = outcome(project)
    assert "2 skipped" in said
    assert "collector 0.158.0 isn't on this machine yet: make servers" in said


def test_it_fails_in_ci(project: Path) -> None:
    said = outcome(project, CI="true")
    assert "2 errors" in said
    assert "collector 0.158.0 isn't on this machine yet: make servers (CI must have it)" in said
