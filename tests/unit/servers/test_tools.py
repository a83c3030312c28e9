"""Tools come from the machine where they are new enough, else from a wheel; what fails says how."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from servers.cache import Recipe, UnavailableError
from servers.tools import Tool, Wheel, run

WHEEL = Wheel("oven-bin", "2.9", "bin/oven")
OVEN = Tool("oven", (2, 0), "--version", WHEEL)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that holds all the programs that there are."""
    folder = tmp_path / "machine"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def install(machine: Path, says: str) -> Path:
    program = machine / "oven"
    program.write_text(f"#!/bin/sh\n{says}\n")
    program.chmod(0o755)
    return program


def unpack(recipe: Recipe) -> Path:
    assert recipe is WHEEL
    return Path("/cache/oven-bin-2.9")


def test_the_machine_s_own_is_taken(machine: Path) -> None:
    program = install(machine, "echo oven version oven2.10.1 linux")
    assert OVEN.locate(unpack) == program


@pytest.mark.parametrize("says", ["echo oven version 1.30", "echo nothing", "exit 1"])
def test_one_that_is_too_old_or_broken_is_left_alone(machine: Path, says: str) -> None:
    install(machine, says)
    assert OVEN.locate(unpack) == Path("/cache/oven-bin-2.9/bin/oven")


def test_where_the_machine_has_none_the_wheel_is_taken(machine: Path) -> None:
    assert OVEN.locate(unpack) == Path("/cache/oven-bin-2.9/bin/oven")


def test_what_fails_shows_the_end_of_what_it_wrote() -> None:
    program = "import sys; print('\\n'.join(f'line {n}' for n in range(99))); sys.exit('no flour')"
    with pytest.raises(UnavailableError, match=r"failed with exit status 1:\n(?s:.*)line 98\n    no flour$") as failure:
        run([sys.executable, "-c", program])
    assert "line 3\n" not in str(failure.value)


def test_a_program_that_is_missing_is_named(machine: Path) -> None:
    with pytest.raises(UnavailableError, match=r"^there is no program apt-get on this machine$"):
        run(["apt-get", "update"])


def test_a_program_gets_its_folder_and_its_variables(tmp_path: Path) -> None:
    program = "import os; print(os.getcwd(), os.environ['FLOUR'])"
    assert run([sys.executable, "-c", program], cwd=tmp_path, environment={"FLOUR": "rye"}) == f"{tmp_path} rye\n"
