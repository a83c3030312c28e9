"""`sampling show`, and where its policies come from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.command import Run, Said

from collector_processor.cli import main
from collector_processor.sample import default_document


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    for name in list(os.environ):
        if name.startswith("COLLECTOR_PROCESSOR_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLLECTOR_PROCESSOR_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("collector_processor.telemetry.configure", lambda _settings: None)

    def call(*arguments: str) -> Said:
        code = main(arguments)
        return Said(code, *capsys.readouterr())

    return call


def test_show_prints_a_document_that_can_be_used_as_it_is(run: Run, tmp_path: Path) -> None:
    shown = run("sampling", "show")
    assert (shown.code, shown.out) == (0, default_document())


def test_show_prints_the_document_in_force(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "policies.toml"
    file.write_text("# ours\n[[judge]]\nname = 'rare'\nwhen.tool = 'bash'\neach_stratum_per_hour = 3\n")
    monkeypatch.setenv("COLLECTOR_PROCESSOR_SAMPLING", str(file))
    assert run("sampling", "show").out == file.read_text()
    plain = run("sampling", "show", "--json").json
    assert plain["document"] == str(file)
    assert plain["policies"] == [
        {
            "facet": "judge",
            "name": "rare",
            "rule": "each stratum",
            "per_hour": 3.0,
            "initially": 0.1,
            "at_most": 1.0,
            "when": {"tool": "bash"},
        }
    ]
    assert plain["costs"]["judge"] == {"bytes": 10_000, "calls": 1}


def test_policies_that_can_not_be_used_are_told_by_show_and_check(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "policies.toml"
    file.write_text("[[judge]]\nname = 'p'\nprobability = 2\nwhen.task.typ = 'x'\n")
    monkeypatch.setenv("COLLECTOR_PROCESSOR_SAMPLING", str(file))
    for code, *command in ((2, "sampling", "show"), (1, "config", "check")):
        said = run(*command)
        assert said.code == code
        assert f"{file}: judge[1].when.task.typ: no field of the record" in said.err
        assert f"{file}: judge[1].probability: has to be a number above 0, up to 1" in said.err
    file.write_bytes(b"\xff")
    assert f"{file} can't be read: it is no UTF-8" in run("sampling", "show").err
    monkeypatch.setenv("COLLECTOR_PROCESSOR_SAMPLING", str(tmp_path / "missing.toml"))
    assert "COLLECTOR_PROCESSOR_SAMPLING: " in run("sampling", "show").err


def test_simulate_takes_policies_and_the_settings_file_stands_before_the_command(run: Run, tmp_path: Path) -> None:
    said = run("sampling", "simulate", "--config", str(tmp_path / "missing.toml"))
    assert (said.code, said.err) == (
        2,
        f"otel-benchmark: {tmp_path}/missing.toml can't be read: No such file or directory\n",
    )
    settings = tmp_path / "settings.toml"
    settings.write_text("sampling = 'nowhere.toml'\n")
    said = run("--config", str(settings), "sampling", "simulate", "--config", str(tmp_path / "missing.toml"))
    assert f"{settings}: sampling: 'nowhere.toml' is not the path of a file" in said.err
