"""`database` and `sql` on a real PostgreSQL."""

from __future__ import annotations

import csv
import io

import pytest
from support.command import Run


def test_check_says_what_is_missing_and_migrate_mends_it(run: Run) -> None:
    before = run("database", "check", "--json")
    assert before.code == 1
    assert "run `otel-benchmark database migrate`" in " ".join(before.json["missing"])
    first, second = run("database", "migrate", "--json"), run("database", "migrate")
    assert first.code == second.code == 0
    assert first.json["applied"][0].startswith("0001_")
    assert "nothing to do" in second.out
    after = run("database", "check")
    assert after.code == 0
    assert "postgresql" in after.out
    assert "missing" not in after.out


def test_maintain_settles_and_retires(run: Run) -> None:
    run("database", "migrate")
    assert run("database", "maintain", "--json").json == {"settled_hours": 0, "records": 0, "spans_waiting": 0}
    assert "settled 0 hours of statistics\nretired 0 records" in run("database", "maintain").out
    assert "settled last 2" in run("database", "check").out


def test_url_is_whole(run: Run, postgres_url: str) -> None:
    assert run("database", "url").out.strip() == postgres_url


def test_a_query_in_every_format(run: Run) -> None:
    run("database", "migrate")
    text = "SELECT 1 AS one, 'a,b' AS two, NULL AS three, count(*) FROM data_points"
    assert run("sql", text, "--json").json == [{"one": 1, "two": "a,b", "three": None, "count": 0}]
    rows = list(csv.reader(io.StringIO(run("sql", text, "--csv").out)))
    assert rows == [["one", "two", "three", "count"], ["1", "a,b", "", "0"]]
    assert run("sql", text).out.splitlines()[0].split() == ["one", "two", "three", "count"]
    assert run("sql", "SELECT id FROM data_points", "--csv").out == "id\n"


def test_a_query_from_standard_input(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("database", "migrate")
    monkeypatch.setattr("sys.stdin", io.StringIO("SELECT current_user AS who;\n"))
    assert run("sql", "-", "--json").json == [{"who": "benchmark_reader"}]


@pytest.mark.parametrize(
    ("text", "timeout", "words"),
    [
        ("SELECT nonsense", "60", "PostgreSQL: column"),
        ("SELECT * FROM benchmark_data.points", "60", "permission denied"),
        ("DELETE FROM benchmark.data_points", "60", "PostgreSQL: "),
        ("SELECT pg_sleep(60)", "0.05", "statement timeout"),
    ],
)
def test_a_query_that_may_or_can_not_is_one_line(run: Run, text: str, timeout: str, words: str) -> None:
    run("database", "migrate")
    said = run("sql", text, "--timeout", timeout)
    assert said.code == 1
    assert words in said.err
    assert len(said.err.splitlines()) == 1


def test_a_database_without_our_schema_says_how_to_get_it(run: Run) -> None:
    for command in (["sql", "SELECT * FROM data_points"], ["quarantine", "list"]):
        said = run(*command)
        assert said.code == 1
        assert "run `otel-benchmark database migrate`" in said.err


def test_a_database_that_is_not_there(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLLECTOR_PROCESSOR_DATABASE_URL", "postgresql://owner:s3cret@127.0.0.1:1/none")
    for command in (["database", "check"], ["database", "migrate"]):
        said = run(*command)
        assert said.code == 1
        assert "PostgreSQL: " in said.err
        assert "s3cret" not in said.err
