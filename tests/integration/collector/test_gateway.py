"""`gateway.yaml` in front of two processors: each trace goes to one of them, also while the other is away."""

from __future__ import annotations

import pytest
from support.collector import Collector
from support.delivery import Done, Traffic, assert_delivered, do_tasks
from support.processor import Processor, wait_until

from otel_benchmark import attributes as a


@pytest.fixture
def first(new_processor):
    return new_processor("first")


@pytest.fixture
def second(new_processor):
    return new_processor("second")


@pytest.fixture
def gateway(new_collector, first, second):
    return new_collector("gateway.yaml", PROCESSOR_FIRST=first, PROCESSOR_SECOND=second)


def send(collector: Collector, count: int) -> list[Done]:
    with collector.tracing("grpc", {a.SERVICE_NAME: "arbiter"}) as provider:
        return do_tasks(provider, count)


def new_spans(processor: Processor) -> int:
    """How many it has received for the first time."""
    terms = processor.terms()
    return terms["received"] - terms["duplicate"]


def wait_for_more(processor: Processor, than: int) -> None:
    wait_until(lambda: new_spans(processor) > than)


def assert_shared(*processors: Processor) -> None:
    for processor in processors:
        assert processor.terms()["handed_over"] > 0


def test_each_trace_goes_to_one_processor_whole(gateway, first, second):
    with first, second:
        gateway.start()
        assert_delivered(gateway, [first, second], send(gateway, 60))
        assert_shared(first, second)
        gateway.stop()
    assert "deprecated" not in gateway.log


def test_an_agent_may_send_to_it(new_collector, gateway, first, second):
    agent = new_collector("agent.yaml", PROCESSOR=gateway)
    agent.start()
    done = send(agent, 60)
    with first, second:
        gateway.start()
        wait_until(lambda: agent.queued_bytes == 0)
        assert agent.dropped_spans == 0
        assert_delivered(gateway, [first, second], done)
        agent.stop()
        gateway.stop()


def test_a_processor_that_is_away_holds_up_its_own_traces_alone(gateway, first, second):
    """More batches come than one queue would send at the same time; a kill of the gateway changes nothing."""
    gateway.start()
    done: list[Done] = []
    with first:
        for _ in range(15):
            before = new_spans(first)
            done += send(gateway, 20)
            wait_for_more(first, before)
        gateway.kill()
        gateway.start()
        wait_until(lambda: gateway.queued_bytes > 0)
        with second:
            assert_delivered(gateway, [first, second], done)
            assert_shared(first, second)
            gateway.stop()


def test_nothing_is_lost_or_doubled_by_restarts_in_mid_traffic(gateway, first, second):
    first.start()
    second.start()
    gateway.start()
    with Traffic(gateway) as traffic:
        traffic.go_on(20)
        second.kill()
        traffic.go_on(20)
        gateway.kill()
        gateway.start()
        traffic.go_on(20)
        second.start()
        first.stop()
        traffic.go_on(20)
        gateway.stop()
        first.start()
        gateway.start()
        traffic.go_on(20)
    assert_delivered(gateway, [first, second], traffic.acknowledged)
    assert_shared(first, second)
    gateway.stop()
    first.stop()
    second.stop()
