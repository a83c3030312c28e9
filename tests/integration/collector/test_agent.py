"""`agent.yaml` between real exporters and a real processor: what it has acknowledged is stored, once, whatever dies."""

from __future__ import annotations

import pytest
import trustme
from support.delivery import Traffic, answers, assert_delivered, do_tasks
from support.lifecycle import execution, foreign, payload, route, span, task
from support.processor import own, wait_until

from otel_benchmark import attributes as a

ARBITER = {a.SERVICE_NAME: "arbiter"}
MIB = 1024 * 1024


@pytest.fixture
def processor(new_processor):
    return new_processor()


@pytest.fixture
def agent(new_collector, processor):
    return new_collector("agent.yaml", PROCESSOR=processor)


@pytest.mark.parametrize("protocol", ["grpc", "http"])
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_tasks_of_a_real_exporter_arrive_whole(agent, processor, protocol, compression):
    with processor:
        agent.start()
        with agent.tracing(protocol, ARBITER, compression) as provider:
            done = do_tasks(provider, 40)
        assert_delivered(agent, [processor], done)
        assert processor.terms()["duplicate"] == 0
        agent.stop()
    assert "deprecated" not in agent.log


def test_it_shows_a_certificate_and_a_token_where_the_processor_asks_for_them(new_collector, new_processor, tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    for name, subject in (("processor", "127.0.0.1"), ("agent", "agent@example.org")):
        issued = authority.issue_cert(subject)
        issued.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.pem")
        issued.private_key_pem.write_to_path(tmp_path / f"{name}.key")
    (tmp_path / "tokens").write_text("a-token-that-is-long-enough")
    processor = new_processor(
        TLS_CERT_FILE=str(tmp_path / "processor.pem"),
        TLS_KEY_FILE=str(tmp_path / "processor.key"),
        TLS_CLIENT_CA_FILE=str(tmp_path / "ca.pem"),
        TOKENS_FILE=str(tmp_path / "tokens"),
    )
    agent = new_collector(
        "agent.yaml",
        PROCESSOR=f"https://{processor.environment['COLLECTOR_PROCESSOR_OTLP_GRPC']}",
        CA_FILE=str(tmp_path / "ca.pem"),
        CERT_FILE=str(tmp_path / "agent.pem"),
        KEY_FILE=str(tmp_path / "agent.key"),
        AUTHORIZATION="Bearer a-token-that-is-long-enough",
    )
    with processor:
        agent.start()
        with agent.tracing("grpc", ARBITER) as provider:
            done = do_tasks(provider, 5)
        assert_delivered(agent, [processor], done)
        agent.stop()


def test_what_was_acknowledged_before_a_kill_comes_when_there_is_a_processor(agent, processor):
    agent.start()
    with agent.tracing("grpc", ARBITER) as provider:
        done = do_tasks(provider, 100)
    agent.kill()
    agent.start()
    assert agent.queued_bytes > 0
    with processor:
        assert_delivered(agent, [processor], done)
        agent.stop()


def test_what_was_acknowledged_survives_the_ends_of_both_in_mid_traffic(agent, processor):
    processor.start()
    agent.start()
    with Traffic(agent) as traffic:
        traffic.go_on(10)
        processor.stop()
        traffic.go_on(30)
        agent.kill()
        agent.start()
        traffic.go_on(30)
        processor.start()
        traffic.go_on(30)
        processor.kill()
        agent.stop()
        agent.start()
        traffic.go_on(10)
        agent.kill()
        processor.start()
        agent.start()
        traffic.go_on(30)
    assert_delivered(agent, [processor], traffic.acknowledged)
    agent.stop()
    processor.stop()


def test_a_full_queue_makes_senders_wait_and_loses_nothing(new_collector, processor):
    agent = new_collector("agent.yaml", PROCESSOR=processor, QUEUE_BYTES=str(MIB)).start()
    with Traffic(agent, padding=30_000) as traffic:
        wait_until(lambda: agent.queued_bytes > MIB - 31_000)
        with processor:
            traffic.go_on(10)
            traffic.stop()
            assert traffic.refusals == 0
            assert_delivered(agent, [processor], traffic.acknowledged)
            agent.stop()


def test_the_largest_batch_is_not_too_large_for_the_processor(new_collector, processor, tmp_path):
    """What nearly fills a batch, and then a request that is nearly too large for the Collector, in one batch."""
    nearly_full = own(task(), route(), *(foreign(number) for number in range(100, 1_500)))
    largest = own(task(), execution(), *(span(number, "POST", {"body": "x" * MIB}) for number in range(100, 147)))
    bodies = [payload(each.spans) for each in (nearly_full, largest)]
    assert [len(body) // MIB for body in bodies] == [0, 47]
    patient = tmp_path / "patient.yaml"
    patient.write_text("exporters: {otlp_grpc: {sending_queue: {batch: {flush_timeout: 1h}}}}")
    agent = new_collector("agent.yaml", f"--config={patient}", PROCESSOR=processor)
    with processor:
        agent.start()
        for body in bodies:
            agent.take(body)
        wait_until(lambda: agent.queued_bytes == 0)
        assert agent.dropped_spans == 0
        assert answers(processor) == {"ok": 1}
        assert processor.terms()["received"] == len(nearly_full.spans) + len(largest.spans)
        agent.stop()
