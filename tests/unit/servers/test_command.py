"""`make servers` makes what it can, and says what it can't."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from servers import __main__ as command
from servers.cache import Say, UnavailableError


@dataclass
class Bread:
    name: str
    needs: str = ""
    version: str = "1.0"
    subject: str = "bread, from flour; an hour"
    ingredients: Mapping[str, str] = field(default_factory=dict)

    def make(self, folder: Path, say: Say) -> Mapping[str, str]:
        if self.needs:
            raise UnavailableError(f"there is no {self.needs}")
        say("baking")
        (folder / "bread").write_bytes(bytes(3_000_000))
        return {}


@pytest.fixture(autouse=True)
def kitchen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    recipes = {bread.name: bread for bread in (Bread("rye"), Bread("cake", needs="oven"), Bread("roll"))}
    monkeypatch.setattr(command, "RECIPES", recipes)


def test_all_are_made_but_the_one_that_can_t(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert command.main([]) == 1
    said = capsys.readouterr().out
    assert "rye 1.0: bread, from flour; an hour\n  baking\n  there after 0 s, 3 MB\n" in said
    assert "  not here: there is no oven\n" in said
    assert said.endswith("missing: cake; the tests that need them are skipped, and fail in CI\n")
    assert (tmp_path / "otel-benchmark" / "roll-1.0" / "bread").exists()


def test_those_that_are_named_are_made_once(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert command.main(["roll"]) == 0
    capsys.readouterr()
    assert command.main(["roll"]) == 0
    assert capsys.readouterr().out.endswith("  there already, 3 MB\n")
    assert not (tmp_path / "otel-benchmark" / "rye-1.0").exists()


def test_a_name_that_nobody_knows_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        command.main(["pie"])
    assert left.value.code == 2
    assert "there is no pie; there are rye, cake, roll" in capsys.readouterr().err
