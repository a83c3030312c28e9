"""`plugin check`: says before going live what would be wrapped and filled, and leaves nothing behind."""

import json
import sys

import pytest

from otel_benchmark import check, contract
from otel_benchmark.attributes import Kind
from otel_benchmark.environment import Settings, Target
from otel_benchmark.vocabulary import FIELDS, SECTIONS
from otel_benchmark.vocabulary.__main__ import markdown

ARBITER = """
class Router:
    def route(self, task): return None
class Greedy(Router):
    def route(self, task): return None
async def handle(task): return None
"""


@pytest.fixture
def arbiter(tmp_path, monkeypatch):
    (tmp_path / "checked_arbiter.py").write_text(ARBITER)
    (tmp_path / "broken_arbiter.py").write_text("raise RuntimeError('at import')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("checked_arbiter", None)


def test_targets_are_imported_described_and_put_back(arbiter):
    report = check.check(
        Settings(
            targets=(
                Target(Kind.TASK, "checked_arbiter", "handle"),
                Target(Kind.ROUTE, "checked_arbiter", "Router.route"),
                Target(Kind.TOOL_CALL, "checked_arbiter", "missing"),
                Target(Kind.TOOL_CALL, "broken_arbiter", "f"),
                Target(Kind.TOOL_CALL, "absent_arbiter", "f"),
                Target(Kind.TOOL_CALL, "__main__", "f"),
            )
        )
    )
    assert [target.wrapped for target in report.targets[:2]] == [
        ["checked_arbiter:handle (coroutine function)"],
        ["checked_arbiter:Router.route (method)", "checked_arbiter:Greedy.route (method)"],
    ]
    problems = [target.problem or "" for target in report.targets]
    assert ["has no missing" in problems[2], "at import" in problems[3], "absent_arbiter" in problems[4]] == [True] * 3
    assert "decorate it" in problems[5]
    assert not report.good
    assert not hasattr(sys.modules["checked_arbiter"].handle, "__wrapped__")


def test_a_sample_shows_what_is_filled_and_what_stays_empty(arbiter):
    (arbiter / "mapping.toml").write_text('[route]\n"confidence" = "result.sureness"\n')
    settings = Settings(
        targets=(Target(Kind.ROUTE, "checked_arbiter", "Router.route"),), mapping=arbiter / "mapping.toml"
    )
    report = check.check(
        settings,
        {
            "task": {"id": "t-1", "type": "research"},
            "route": {
                "self": {"strategy": "fallback"},
                "args": [{"id": "t-1"}],
                "result": {"agent": {"id": "a-1"}, "sureness": 0.5, "alternatives": {"a-2": 0.25}},
            },
            "execute": {"kwargs": {"agent_id": "a-1"}, "result": {"success": False}, "exception": "why"},
            "evaluate": {"score": 0.5, "gates": {"lint": True}},
        },
    )
    assert report.sections["task"].filled == {"id": "t-1", "type": "research"}
    route = report.sections["route"]
    assert route.filled["task.id"] == "t-1"
    assert (route.filled["selected.id"], route.filled["confidence"]) == ("a-1", 0.5)
    assert (route.filled["strategy"], route.filled["candidate.ids"]) == ("fallback", ["a-2"])
    assert "propensity" in route.empty
    assert report.sections["execute"].filled == {"agent.id": "a-1", "success": False}
    assert len(report.sections["evaluate"].filled["gates"]) == 1
    assert report.good
    for name, section in report.sections.items():
        assert set(section.filled) | set(section.empty) <= {field.key for field in FIELDS[SECTIONS[name]]}
    text = check.render(report)
    assert "wraps checked_arbiter:Greedy.route (method)" in text
    assert "[route]: " in text


def test_the_command(arbiter, monkeypatch, capsys):
    monkeypatch.setenv("OTEL_BENCHMARK_TASK", "checked_arbiter:handle")
    sample = arbiter / "sample.json"
    sample.write_text('{"task": {"id": "t-1"}}')
    assert check.main(sample=sample, as_json=True) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["sections"]["task"]["filled"] == {"id": "t-1"}
    assert printed["good"]

    monkeypatch.setenv("OTEL_BENCHMARK_PROTOCOL", "smoke")
    assert check.main() == 1
    assert "PROBLEM OTEL_BENCHMARK_PROTOCOL=smoke" in capsys.readouterr().out

    sample.write_text("[]")
    assert check.main(sample=sample) == 2
    assert "holds no JSON object" in capsys.readouterr().err
    assert check.main(sample=arbiter / "none.json") == 2


def test_nothing_named_is_said(capsys, monkeypatch):
    for name in ("TASK", "ROUTE", "EXECUTE", "TOOL", "EVALUATE"):
        monkeypatch.delenv(f"OTEL_BENCHMARK_{name}", raising=False)
    assert check.main() == 1
    assert "nothing is named" in capsys.readouterr().out


def test_the_contract_holds_every_field_and_reads_as_json_and_markdown():
    spans = contract.as_json(contract.CONTRACT)
    assert json.loads(json.dumps(spans)) == json.loads(json.dumps(contract.as_json()))
    assert [span["name"].split(" ")[0] for span in spans] == [kind.value for kind in Kind]
    for kind, span in zip(Kind, spans, strict=True):
        names = {attribute["name"] for attribute in span["attributes"]}
        assert {name for field in FIELDS[kind] for name in field.attributes if "." in name} <= names
    text = contract.as_markdown(contract.CONTRACT)
    assert "| `arbiter.emitter.sequence` |" in text
    assert "Event `gen_ai.evaluation.result`" in text
    assert text.endswith("\n")


def test_the_readmes_table_names_every_field():
    text = markdown()
    for fields in FIELDS.values():
        for field in fields:
            assert f"| `{field.key}` |" in text
