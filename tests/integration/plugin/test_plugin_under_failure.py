"""The plugin's own way to the processor while the receiver is away, full or refuses, and under a burst."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import busy_arbiter
from support.collector import free_address
from support.postgres import temporary_database
from support.processor import Processor, wait_until

from collector_processor.store.embedded import EmbeddedServer

ARBITER = ("-c", "from support import busy_arbiter; busy_arbiter.main()")
BURST = 1875
SPANS = 4 + busy_arbiter.FOREIGN
LIFECYCLE = ("task", "route", "invoke_agent", "execute_tool")
QUEUE_MIB = 48


def arrived(receiver, word: str) -> int:
    """How many different spans of a name's first word; a request that is sent again doesn't count twice."""
    return len({span.span.span_id for span in list(receiver.spans) if span.word == word})


@pytest.fixture
def processor(postgres_server: EmbeddedServer, tmp_path: Path) -> Iterator[Processor]:
    """A processor at an address that stays, not started."""
    with temporary_database(postgres_server) as url:
        made = Processor(tmp_path / "processor", url, OTLP_HTTP=free_address(), GRACE="500ms")
        try:
            yield made
        finally:
            made.abandon()


def test_a_burst_of_30_000_spans_loses_no_lifecycle_span(instrumented, http_receiver):
    receiver = http_receiver()
    instrumented(*ARBITER, "steady", str(BURST), OTEL_BENCHMARK_ENDPOINT=receiver.url, **busy_arbiter.TARGETS)
    assert {word: len(receiver.named(word)) for word in LIFECYCLE} == dict.fromkeys(LIFECYCLE, BURST)


def new_spans(processor: Processor) -> int:
    """How many it has received for the first time: a request may be sent again."""
    terms = processor.terms()
    return terms["received"] - terms["duplicate"]


def refuse(receiver) -> None:
    receiver.status = 503


def stall(receiver) -> None:
    receiver.at_work.clear()


@pytest.mark.parametrize(
    ("fail", "patience_s", "text", "said"),
    [(refuse, 1, 10, "it takes no spans at present (HTTP 503)"), (stall, 80, 10_000, "queue_full")],
    ids=["it refuses", "it is slow"],
)
def test_while_the_receiver_takes_nothing_tasks_go_on_and_foreign_spans_are_dropped_first(
    instrumented, http_receiver, fail, patience_s, text, said
):
    """All the work is done before the receiver takes the first span; what it holds up is a thread of ours."""
    receiver, each = http_receiver(), BURST // 2
    fail(receiver)

    def come_back() -> None:
        assert receiver.spans == []
        receiver.status = 200
        receiver.at_work.set()
        wait_until(lambda: all(arrived(receiver, word) == 2 * each for word in LIFECYCLE))

    finished = instrumented(
        *ARBITER,
        "outage",
        str(each),
        steps=[lambda: None, come_back],
        BUSY_TEXT=str(text),
        OTEL_BENCHMARK_ENDPOINT=receiver.url,
        OTEL_BENCHMARK_QUEUE_BYTES=f"{QUEUE_MIB}MiB",
        OTEL_EXPORTER_OTLP_TIMEOUT=str(patience_s),
        **busy_arbiter.TARGETS,
    )
    lost = 2 * each * busy_arbiter.FOREIGN - arrived(receiver, "GET")
    drops = re.findall(r"(\d+) spans were dropped, 0 of them lifecycle spans: ", finished.stderr)
    # What a busy machine's receiver takes after the plugin has given up waiting is counted, too.
    assert sum(map(int, drops)) >= lost > 0
    assert said in finished.stderr
    assert json.loads(finished.stdout.splitlines()[-1])["grown_kib"] < (2 * QUEUE_MIB + 16) << 10


def test_what_is_refused_is_told_with_its_reason_and_the_application_goes_on(instrumented, http_receiver):
    receiver = http_receiver()
    receiver.status = 400
    finished = instrumented(
        *ARBITER,
        "steady",
        "20",
        OTEL_BENCHMARK_ENDPOINT=receiver.url.replace("//", "//ada:secret@"),
        **busy_arbiter.TARGETS,
    )
    assert json.loads(finished.stdout)
    told = (
        r"otel_benchmark: to (\S+): (\d+) spans were dropped, (\d+) of them lifecycle spans: (\d+) refused \(HTTP 400\)"
    )
    lines = [re.fullmatch(told, line) for line in finished.stderr.splitlines()]
    assert {line and line[1] for line in lines} == {receiver.url}
    # One line, or two where a busy machine takes more than a second for the work.
    sums = [sum(int(line[part]) for line in lines if line) for part in (2, 3, 4)]
    assert sums == [20 * SPANS, 80, 20 * SPANS]


def test_a_processor_that_is_away_for_a_while_gets_every_task(instrumented, processor):
    def kill() -> None:
        wait_until(lambda: new_spans(processor) == 50 * SPANS)
        processor.kill()

    def restart() -> None:
        processor.start()
        wait_until(lambda: new_spans(processor) == 100 * SPANS)

    processor.start()
    finished = instrumented(
        *ARBITER,
        "outage",
        "50",
        steps=[kill, restart],
        OTEL_BENCHMARK_ENDPOINT=f"http://{processor.environment['COLLECTOR_PROCESSOR_OTLP_HTTP']}",
        **busy_arbiter.TARGETS,
    )
    assert "dropped" not in finished.stderr
    processor.settle()
    stored = {row["task_id"] for row in processor.rows("SELECT task_id FROM data_points")}
    assert stored == {f"{name}-{number}" for name in ("first", "second") for number in range(50)}
    processor.assert_balanced()
    processor.stop()


def test_the_metrics_of_the_sdk_and_ours_tell_what_was_sent(instrumented, http_receiver):
    receiver, half = http_receiver(), 5 * SPANS
    finished = instrumented(
        *ARBITER,
        "outage",
        "5",
        steps=[
            lambda: wait_until(lambda: len(receiver.spans) == half),
            # The first half's request is over when the second half's comes, so it is counted.
            lambda: wait_until(lambda: len(receiver.spans) == 2 * half),
        ],
        OTEL_BENCHMARK_ENDPOINT=receiver.url,
        OTEL_METRICS_EXPORTER="console",
        OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED="true",
        **busy_arbiter.TARGETS,
    )
    printed = finished.stdout.partition("\n")[2]
    scopes = json.loads(printed)["resource_metrics"][0]["scope_metrics"]
    values = {
        metric["name"]: sum(point.get("value", 0) for point in metric["data"]["data_points"])
        for scope in scopes
        for metric in scope["metrics"]
    }
    assert half <= values["otel_benchmark.export.sent"] <= 2 * half
    assert half <= values["otel.sdk.exporter.span.exported"] <= 2 * half
    assert values["otel_benchmark.export.queue.capacity"] == 64 << 20
    assert "otel_benchmark.export.dropped" not in values
