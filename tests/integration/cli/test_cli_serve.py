"""A real processor in its own process with the embedded database, and commands beside it as a person calls them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
from support.postgres import reachable_folder

COMMAND = (sys.executable, "-m", "collector_processor.cli")


class Running(NamedTuple):
    """A processor that is ready, what its ready line says, and the environment that its commands share."""

    process: subprocess.Popen[str]
    ready: Mapping[str, Any]
    environment: Mapping[str, str]

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return run(self.environment, *arguments, stdin=stdin)


def run(environment: Mapping[str, str], *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], env=environment, input=stdin, capture_output=True, text=True, check=False
    )


def environment_of(data_dir: Path) -> dict[str, str]:
    own = {
        "DATA_DIR": str(data_dir),
        "OTLP_GRPC": "127.0.0.1:0",
        "OTLP_HTTP": "127.0.0.1:0",
        "ADMIN": "127.0.0.1:0",
        "GRACE": "100ms",
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COLLECTOR_PROCESSOR_")}
    return kept | {f"COLLECTOR_PROCESSOR_{name}": value for name, value in own.items()}


@pytest.fixture(scope="module")
def processor() -> Iterator[Running]:
    with reachable_folder() as folder:
        environment = environment_of(folder / "data")
        with (
            (folder / "log").open("w", encoding="utf-8") as log,
            subprocess.Popen(
                [*COMMAND, "serve"], env=environment, stdout=subprocess.PIPE, stderr=log, text=True
            ) as process,
        ):
            assert process.stdout is not None
            try:
                line = process.stdout.readline()
                assert line, (folder / "log").read_text(encoding="utf-8")
                yield Running(process, json.loads(line), environment)
            finally:
                process.send_signal(signal.SIGTERM)
                assert process.stdout.read() == ""
        assert process.returncode == 0, (folder / "log").read_text(encoding="utf-8")
        # The embedded server went with its last user.
        gone = run(environment, "database", "url")
        assert (gone.returncode, gone.stdout) == (1, "")


def test_the_ready_line_names_what_is_bound_and_no_password(processor: Running) -> None:
    assert processor.ready["event"] == "ready"
    assert processor.ready["tier"] == "postgresql"
    assert ":***@" in processor.ready["database"]
    for name in ("otlp_grpc", "otlp_http", "admin"):
        assert int(processor.ready[name].rpartition(":")[2]) > 0


def test_status(processor: Running) -> None:
    said = processor.run("status", "--json")
    assert said.returncode == 0, said.stderr
    status = json.loads(said.stdout)
    assert status["health"] == {"state": "ok", "reasons": [], "ready": True, "conditions": []}
    assert status["pid"] == processor.process.pid
    assert all(equation["total"] == sum(equation["terms"].values()) for equation in status["equations"])
    words = processor.run("status").stdout
    assert "journal spans" in words
    assert "balances" in words
    assert processor.ready["otlp_http"] in words


def test_flush_with_nothing_to_do(processor: Running) -> None:
    said = processor.run("flush")
    assert (said.returncode, said.stderr) == (0, "")


@pytest.mark.parametrize(
    ("path", "words"), [("healthz", '"ok"'), ("readyz", '"ready":true'), ("metrics", "journal_bytes")]
)
def test_the_admin_address(processor: Running, path: str, words: str) -> None:
    with urllib.request.urlopen(f"http://{processor.ready['admin']}/{path}", timeout=60) as answer:
        assert words in answer.read().decode()


def test_the_url_is_for_other_tools(processor: Running) -> None:
    with psycopg.connect(processor.run("database", "url").stdout.strip()) as connection:
        assert connection.execute("SELECT count(*) FROM benchmark.data_points").fetchone() == (0,)


def test_sql_while_it_runs(processor: Running) -> None:
    assert processor.run("sql", "SELECT current_user AS who", "--csv").stdout == "who\nbenchmark_reader\n"


@pytest.mark.parametrize("psql", ["of the system", "of the embedded database"])
def test_without_a_query_psql_opens_for_the_reader(processor: Running, psql: str, tmp_path: Path) -> None:
    environment = dict(processor.environment)
    if psql == "of the embedded database":
        environment["PATH"] = str(tmp_path)
    said = run(environment, "sql", stdin="SELECT 'who:' || current_user;\nTABLE data_points;\nCREATE TABLE t ();\n")
    assert "who:benchmark_reader" in said.stdout
    assert "(0 rows)" in said.stdout
    assert "ERROR" in said.stderr


def test_a_second_processor_on_the_same_data_is_refused(processor: Running) -> None:
    said = processor.run("serve")
    assert said.returncode == 1
    assert len(said.stderr.strip().splitlines()) <= 2, said.stderr
    assert "Traceback" not in said.stderr


def test_a_port_in_use_names_the_setting(processor: Running) -> None:
    with reachable_folder() as folder:
        environment = environment_of(folder / "data")
        environment["COLLECTOR_PROCESSOR_OTLP_HTTP"] = processor.ready["otlp_http"]
        said = run(environment, "serve")
    assert said.returncode != 0
    assert "COLLECTOR_PROCESSOR_OTLP_HTTP" in said.stderr
    assert "Traceback" not in said.stderr


def test_sql_without_a_processor_starts_the_database_for_its_own_time() -> None:
    with reachable_folder() as folder:
        environment = environment_of(folder / "data")
        assert run(environment, "database", "migrate").returncode == 0
        assert run(environment, "sql", "SELECT 1 AS one", "--json").stdout == '[\n  {\n    "one": 1\n  }\n]\n'
        assert run(environment, "database", "url").returncode == 1
