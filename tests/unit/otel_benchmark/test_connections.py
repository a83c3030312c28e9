"""What a forked child's exporter must not share with its parent: connections, locks, modules half imported."""

import subprocess
import sys
import threading
from contextlib import ExitStack

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from requests.adapters import HTTPAdapter

from otel_benchmark.connections import renew_connections

PATIENCE_S = 30


def test_a_lock_that_another_thread_held_at_the_fork_stops_nobody(http):
    session = requests.Session()
    exporter = OTLPSpanExporter(endpoint=http.url, session=session)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))

    def work():
        provider.get_tracer("library").start_span("GET").end()
        provider.force_flush()

    work()
    adapter = session.get_adapter(http.url)
    assert isinstance(adapter, HTTPAdapter)
    pools = adapter.poolmanager
    waiting = pools.connection_from_url(http.url).pool
    assert waiting is not None
    with ExitStack() as held:
        for lock in (waiting.mutex, pools.pools.lock, session.cookies._cookies_lock):
            held.enter_context(lock)
        renew_connections(provider)
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(PATIENCE_S)
    assert len(http.requests) == 2
    provider.shutdown()


def test_sessions_with_settings_of_their_own_keep_them(http):
    session = requests.Session()
    exporter = OTLPSpanExporter(endpoint=http.url, certificate_file="/ca.pem", session=session)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    session.cookies.set("route", "a")
    session.headers["x-kept"] = "yes"
    renew_connections(provider)
    assert (session.verify, session.cookies.get("route"), session.headers["x-kept"]) == ("/ca.pem", "a", "yes")
    provider.shutdown()


def test_the_applications_own_exporter_imports_nothing_when_it_sends(http):
    """An import in the SDK's thread, cut by a fork, would leave the child a module that is half made and locked."""
    code = f"""
import sys
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from otel_benchmark.environment import Settings
from otel_benchmark.instrumentor import BenchmarkInstrumentor
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint={http.url!r})))
BenchmarkInstrumentor().instrument(tracer_provider=provider, settings=Settings())
before = set(sys.modules)
provider.get_tracer("library").start_span("GET").end()
print(set(sys.modules) - before)
"""
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (finished.stdout, len(http.requests)) == ("set()\n", 1)
