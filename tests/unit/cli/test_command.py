"""The command's manners: exit codes, words for errors, formats, and what it does without a processor."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import jsonschema
import pytest

from collector_processor.cli import main
from collector_processor.cli.output import print_rows

COMMAND = (sys.executable, "-m", "collector_processor.cli")


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("COLLECTOR_PROCESSOR_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLLECTOR_PROCESSOR_DATA_DIR", str(tmp_path))
    # What commands set up for their own process must not outlive a test.
    monkeypatch.setattr("collector_processor.telemetry.configure", lambda _settings: None)


def test_wrong_usage_is_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (
        [],
        ["no-such-command"],
        ["database"],
        ["quarantine", "show", "no-uuid"],
        ["demo", "--tasks", "0"],
    ):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2
        assert "usage: otel-benchmark" in capsys.readouterr().err


def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["serve"], ["config", "show"], ["quarantine", "correct"], ["sql"], ["plugin", "check"]):
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--help"])
        assert ended.value.code == 0
        assert f"usage: otel-benchmark {' '.join(arguments)} " in capsys.readouterr().out


def test_an_error_is_one_line_and_a_traceback_only_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("otel-benchmark: no processor runs on ")
    assert len(captured.err.splitlines()) == 1
    assert main(["status", "--debug"]) == 1
    assert "NotRunningError" in capsys.readouterr().err


def test_a_wrong_setting_is_exit_code_2_and_all_are_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLLECTOR_PROCESSOR_GRACE", "soon")
    monkeypatch.setenv("COLLECTOR_PROCESSOR_WORKER", "2")
    for command in (["serve"], ["config", "show"], ["sql", "select 1"]):
        assert main(command) == 2
        captured = capsys.readouterr().err
        assert "COLLECTOR_PROCESSOR_GRACE: 'soon' is not a duration" in captured
        assert "did you mean COLLECTOR_PROCESSOR_WORKERS?" in captured


def test_config_check_answers_no_with_exit_code_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["config", "check"]) == 0
    monkeypatch.setenv("COLLECTOR_PROCESSOR_GRACE", "soon")
    assert main(["config", "check"]) == 1
    assert "GRACE" in capsys.readouterr().err


def test_config_show_masks_secrets_and_says_where_values_come_from(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COLLECTOR_PROCESSOR_DATABASE_URL", "postgresql://owner:s3cret@host/db")
    file = tmp_path / "processor.toml"
    file.write_text('tenant_key = "a long enough secret"\nworkers = 2\n')
    assert main(["config", "show", "--json", "--config", str(file)]) == 0
    text = capsys.readouterr().out
    rows = {row["name"]: row for row in json.loads(text)}
    assert rows["workers"]["value"] == "2"
    assert rows["workers"]["origin"] == str(file)
    assert rows["database_url"]["value"] == "postgresql://owner:***@host/db"
    assert "s3cret" not in text
    assert "long enough" not in text
    assert main(["--config", str(file), "config", "show"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "COLLECTOR_PROCESSOR_WORKERS" in line)
    assert line.split()[1:] == ["2", str(file)]


def test_common_options_may_stand_before_or_behind_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--debug", "config", "show"], ["config", "--debug", "show"], ["config", "show", "--debug"]):
        assert main([*arguments, "--config", "/no/such.toml"]) == 2
        assert "Traceback" in capsys.readouterr().err
    assert main(["config", "show", "--config", "/no/such.toml"]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_the_record_schema_is_a_json_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "record"]) == 0
    schema = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator.check_schema(schema)
    point = schema["$defs"]["BenchmarkDataPoint"]["properties"]
    assert {"rlLabels", "provenance", "facts", "schemaVersion"} <= point.keys()


def test_the_span_contract_is_printed_for_people_and_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "spans"]) == 0
    assert "| `arbiter.task.id` | string" in capsys.readouterr().out
    assert main(["schema", "spans", "--json"]) == 0
    kinds = [span["name"].split()[0] for span in json.loads(capsys.readouterr().out)]
    assert kinds == ["task", "route", "invoke_agent", "execute_tool", "evaluate"]


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("otel-benchmark 0.")


ROWS: list[tuple[Any, ...]] = [
    (UUID(int=1), dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC), 0.5, True, {"a": [1]}, None, b"\x01\xff"),
    (UUID(int=2), None, float("nan"), False, ["x"], Decimal("1.50"), "two\nlines\x1b[2J"),
]
COLUMNS = ("id", "at", "score", "valid", "record", "?column?", "?column?")


def shown(capsys: pytest.CaptureFixture[str], **formats: bool) -> str:
    print_rows(COLUMNS, ROWS, argparse.Namespace(**{"json": False, "csv": False, **formats}))
    return capsys.readouterr().out


def test_rows_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = json.loads(shown(capsys, json=True))
    assert first == {
        "id": str(UUID(int=1)),
        "at": "2026-11-22T12:00:00Z",
        "score": 0.5,
        "valid": True,
        "record": {"a": [1]},
        "?column?": None,
        "?column?_2": "01ff",
    }
    assert second["score"] is None
    assert second["?column?"] == "1.50"


def test_rows_as_csv(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, csv=True).split("\n")
    assert lines[0] == "id,at,score,valid,record,?column?,?column?"
    assert lines[1] == f'{UUID(int=1)},2026-11-22T12:00:00Z,0.5,true,"{{""a"": [1]}}",,01ff'


def test_rows_as_a_table_leave_the_terminal_alone(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys).splitlines()
    assert len(lines) == 4
    assert lines[1].startswith("-" * 36)
    assert "\x1b" not in "".join(lines)
    assert lines[3].endswith("two lines�[2J")


def test_a_reader_who_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    environment = os.environ | {"COLLECTOR_PROCESSOR_DATA_DIR": str(tmp_path)}
    with subprocess.Popen(
        [*COMMAND, "schema", "record"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode in {0, 1}


def test_ctrl_c_is_quiet() -> None:
    code = (
        "import os, signal, sys; from collector_processor.cli import main, service\n"
        "def run(options): os.kill(os.getpid(), signal.SIGINT); signal.pause()\n"
        "service._status = run\n"
        "sys.exit(main(['status']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (128 + signal.SIGINT, "", "")
