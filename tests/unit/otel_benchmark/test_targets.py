"""Targets named by the environment: wrapped when imported, warned of once, and the instrumentor around them."""

import importlib
import logging
import sys

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from otel_benchmark.attributes import Kind
from otel_benchmark.environment import Settings, Target
from otel_benchmark.instrumentor import BenchmarkInstrumentor
from otel_benchmark.targets import Targets, module_exists


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that nobody has imported, importable for the time of a test."""
    folder = tmp_path / "benchmark_host"
    folder.mkdir()
    (folder / "__init__.py").write_text("loaded = True\n")
    (folder / "agents.py").write_text("def run(task): return 1\nHANDLER = run\n")
    (folder / "user.py").write_text("from benchmark_host.agents import run\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "benchmark_host"
    for name in [name for name in sys.modules if name.startswith("benchmark_host")]:
        del sys.modules[name]


def install(*names: str, kind: Kind = Kind.EXECUTION) -> Targets:
    targets = Targets(Target(kind, *name.split(":")) for name in names)
    targets.install()
    return targets


def test_a_module_is_wrapped_when_it_is_imported(telemetry, package):
    targets = install(f"{package}.agents:run")
    assert f"{package}.agents" not in sys.modules
    user = importlib.import_module(f"{package}.user")
    assert user.run({}) == 1
    assert len(telemetry.spans) == 1
    targets.remove()
    assert importlib.import_module(f"{package}.agents").run is user.run.__wrapped__
    user.run({})
    assert len(telemetry.spans) == 1


def test_a_module_that_is_imported_already_is_wrapped_at_once(telemetry, package):
    agents = importlib.import_module(f"{package}.agents")
    targets = install(f"{package}.agents:run")
    agents.run({})
    assert len(telemetry.spans) == 1
    targets.remove()


def test_a_removed_target_is_not_wrapped_later(telemetry, package):
    install(f"{package}.agents:run").remove()
    importlib.import_module(f"{package}.agents").run({})
    assert telemetry.spans == []


def test_a_callable_that_is_task_and_execution_is_a_task_outside(telemetry, package):
    targets = Targets(
        [Target(Kind.TASK, f"{package}.agents", "run"), Target(Kind.EXECUTION, f"{package}.agents", "run")]
    )
    targets.install()
    importlib.import_module(f"{package}.agents").run({"id": "t"})
    assert telemetry.names == ["invoke_agent", "task"]
    targets.remove()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("__main__:run", "can't be wrapped from outside"),
        ("benchmark_host.agents:missing", "benchmark_host.agents has no missing"),
        ("benchmark_host.missing:run", "there is no module benchmark_host.missing"),
        ("benchmark_missing.agents:run", "there is no module benchmark_missing.agents"),
        ("benchmark_host.agents.deeper:run", "there is no module benchmark_host.agents.deeper"),
    ],
)
def test_what_can_not_be_wrapped_is_one_warning(telemetry, package, caplog, name, said):
    with caplog.at_level(logging.WARNING):
        targets = install(name)
        assert importlib.import_module(f"{package}.agents").run({}) == 1
        targets.report_missing()
        targets.report_missing()
    assert len(caplog.records) == 1
    assert said in caplog.text
    assert "OTEL_BENCHMARK_EXECUTE" in caplog.text
    targets.remove()


def test_a_module_that_exists_but_was_not_needed_is_no_warning(telemetry, package, caplog):
    targets = install(f"{package}.agents:run")
    targets.report_missing()
    assert not caplog.records
    assert package not in sys.modules  # looking for it imported nothing
    targets.remove()


def test_modules_are_found_without_being_imported(package):
    assert module_exists(f"{package}.agents")
    assert module_exists("json.decoder")
    assert module_exists("sys")
    assert not module_exists(f"{package}.other")
    assert not module_exists("sys.other")
    assert package not in sys.modules


def test_the_instrumentor_wraps_and_restores(telemetry, package):
    instrumentor = BenchmarkInstrumentor()
    settings = Settings(targets=(Target(Kind.EXECUTION, f"{package}.agents", "run"),))
    instrumentor.instrument(settings=settings, tracer_provider=telemetry.provider)
    try:
        agents = importlib.import_module(f"{package}.agents")
        agents.run({})
        assert len(telemetry.spans) == 1
    finally:
        instrumentor.uninstrument()
    agents.run({})
    assert len(telemetry.spans) == 1
    assert not hasattr(agents.run, "__wrapped__")


def test_the_instrumentor_reads_the_environment(telemetry, package, monkeypatch):
    monkeypatch.setenv("OTEL_BENCHMARK_EXECUTE", f"{package}.agents:run")
    BenchmarkInstrumentor().instrument(tracer_provider=telemetry.provider)
    importlib.import_module(f"{package}.agents").run({})
    BenchmarkInstrumentor().uninstrument()
    assert len(telemetry.spans) == 1


def test_the_instrumentor_never_raises(telemetry, caplog):
    class Broken:
        def get_tracer(self, *_: object) -> None:
            raise RuntimeError("broken")

    BenchmarkInstrumentor().instrument(tracer_provider=Broken())
    BenchmarkInstrumentor().uninstrument()
    assert "runs on without" in caplog.text


def test_an_endpoint_adds_a_span_processor_once_the_sdk_is_there(telemetry, caplog):
    added: list[object] = []
    telemetry.provider.add_span_processor = added.append
    settings = Settings(endpoint="http://127.0.0.1:4318")
    BenchmarkInstrumentor().instrument(settings=settings, tracer_provider=telemetry.provider)
    BenchmarkInstrumentor().uninstrument()
    assert [type(processor).__name__ for processor in added] == ["PrioritySpanProcessor"]
    assert not isinstance(added[0], SimpleSpanProcessor)
    assert not caplog.records
