"""A body that was refused is let go of at once: amid an overload, garbage is collected too late."""

from __future__ import annotations

import gc
import http.client

import grpc
import psutil
import pytest

from collector_processor.errors import OverloadedError

BODY = bytes(1_900_000)
REFUSALS = 40


def post(receivers, export):
    connection = http.client.HTTPConnection(receivers.http.removeprefix("http://"), timeout=30)
    connection.request("POST", "/v1/traces", BODY, {"content-type": "application/x-protobuf"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    assert answer.status == 503


def call(receivers, export):
    with pytest.raises(grpc.RpcError) as refused:
        export(BODY)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("send", [post, call])
def test_what_was_refused_is_not_held(receivers, export, send):
    process = psutil.Process()

    def grown_by_refusals() -> int:
        before = process.memory_full_info().uss
        receivers.intake.errors += [OverloadedError("the journal is full") for _ in range(REFUSALS)]
        for _ in range(REFUSALS):
            send(receivers, export)
        return process.memory_full_info().uss - before

    gc.collect()
    gc.disable()
    try:
        grown_by_refusals()
        assert grown_by_refusals() < REFUSALS / 4 * len(BODY)
    finally:
        gc.enable()
        gc.collect()
