"""The child processes, and the environment that has the arbiter recorded."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import psutil
import pytest

from collector_processor.demo import processes
from collector_processor.demo.environment import ARBITER, MAPPING, TARGETS, instrumented_environment
from collector_processor.demo.processes import Processor, arbiter, end
from collector_processor.errors import DemoError
from otel_benchmark.environment import Settings
from otel_benchmark.vocabulary import FIELDS, SECTIONS

DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"


def test_environment_names_what_exists(caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings.from_environ(instrumented_environment("127.0.0.1:4318", {}))
    assert caplog.messages == []
    assert len(settings.targets) == sum(map(len, TARGETS.values()))
    for target in settings.targets:
        found: object = importlib.import_module(target.module)
        for name in target.path.split("."):
            found = getattr(found, name)
        assert callable(found)


def test_mapping_names_fields_of_the_plugin() -> None:
    for section, lines in tomllib.loads(MAPPING.read_text("utf-8")).items():
        assert set(lines) <= {field.key for field in FIELDS[SECTIONS[section]]}


def test_environment_starts_from_a_clean_sdk() -> None:
    base = {"PATH": "/bin", "OTEL_TRACES_SAMPLER": "always_off", "OTEL_BENCHMARK_TENANT_KEY": "key"}
    environment = instrumented_environment("127.0.0.1:1234", base)
    assert environment["PATH"] == "/bin"
    assert environment["OTEL_BENCHMARK_TENANT_KEY"] == "key"
    assert environment["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://127.0.0.1:1234"
    assert environment["OTEL_METRICS_EXPORTER"] == environment["OTEL_LOGS_EXPORTER"] == "none"
    assert "OTEL_TRACES_SAMPLER" not in environment


def test_arbiter_reports_while_it_works() -> None:
    with arbiter(6, 3, os.environ, instrumented=False) as events:
        found = list(events)
    assert [event["event"] for event in found] == ["task"] * 6 + ["summary"]


def test_a_failing_arbiter_is_an_error_with_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_arbiter.py").write_text("raise SystemExit('no coffee')\n")
    monkeypatch.setattr(processes, "ARBITER", "broken_arbiter")
    with (
        pytest.raises(DemoError, match="no coffee"),
        arbiter(6, 3, os.environ | {"PYTHONPATH": str(tmp_path)}, instrumented=False) as events,
    ):
        assert list(events) == []


def test_leaving_early_ends_the_arbiter(tmp_path: Path) -> None:
    with arbiter(5000, 3, os.environ | {"TMPDIR": str(tmp_path)}, instrumented=False) as events:
        next(events)
        process = _children()[0]
        assert list(tmp_path.iterdir())
    assert process not in _children()
    assert list(tmp_path.iterdir()) == []


def test_a_deaf_child_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "STOP_TIMEOUT_S", 0.2)
    child = subprocess.Popen([sys.executable, "-c", DEAF], stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert child.stdout is not None
    child.stdout.readline()
    end(child)
    assert child.returncode == -9


def test_a_processor_that_does_not_start_tells_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_command", lambda *_: [sys.executable, "-c", "raise SystemExit('no port is free')"])
    with pytest.raises(DemoError, match="no port is free"):
        Processor(tmp_path, os.environ, "key").start()


def test_processor_ignores_settings_of_another_one(tmp_path: Path) -> None:
    base = {"COLLECTOR_PROCESSOR_DATABASE_URL": "postgresql://elsewhere", "PATH": "/bin"}
    environment = Processor(tmp_path, base, "key").environment
    assert "COLLECTOR_PROCESSOR_DATABASE_URL" not in environment
    assert environment["COLLECTOR_PROCESSOR_OTLP_HTTP"] == "127.0.0.1:0"
    assert environment["COLLECTOR_PROCESSOR_TENANT_KEY"] == "key"


def _children() -> list[int]:
    return [child.pid for child in psutil.Process().children() if ARBITER in child.cmdline()]
