"""How an error is answered, on HTTP and on gRPC: one table, one google.rpc.Status.

A sender repeats what is refused for lack of room, after the delay that it is told, and never what is wrong in
itself. The delay is spread, or all senders would come back at once; it is short, because the Python exporter gives
up at once where it is longer than what remains of its ten seconds.
"""

from __future__ import annotations

import random
from enum import StrEnum
from http import HTTPStatus
from typing import Final, NamedTuple

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]  # its package has no stubs

from collector_processor.errors import (
    MalformedRequestError,
    OverloadedError,
    RequestTooLargeError,
    UnauthenticatedError,
)
from collector_processor.model.stages import Receipt
from collector_processor.receive.endpoints import Endpoint
from collector_processor.telemetry import get_logger
from collector_processor.telemetry.metrics import REQUESTS

log = get_logger(__name__)


class Transport(StrEnum):
    """Protocol that a request came by."""

    HTTP = "http"
    GRPC = "grpc"


class Outcome(StrEnum):
    """What became of a request, as it is counted."""

    OK = "ok"
    PARTIAL = "partial"
    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    UNAUTHENTICATED = "unauthenticated"
    OVERLOADED = "overloaded"
    FAILED = "failed"


class Refusal(NamedTuple):
    """A request that was not taken. `retry_after` is in seconds."""

    outcome: Outcome
    http: HTTPStatus
    code: grpc.StatusCode
    message: str
    retry_after: float | None = None

    @property
    def retry_info(self) -> error_details_pb2.RetryInfo | None:
        """When to come back, or None: never with these bytes."""
        if self.retry_after is None:
            return None
        delay = Duration()
        delay.FromMilliseconds(round(self.retry_after * 1000))
        return error_details_pb2.RetryInfo(retry_delay=delay)

    @property
    def status(self) -> status_pb2.Status:
        """The answer's google.rpc.Status."""
        status = status_pb2.Status(code=self.code.value[0], message=self.message)
        if info := self.retry_info:
            status.details.add().Pack(info)
        return status


class RefusedError(Exception):
    """Carries a refusal to where it is answered."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


_KINDS: Final = (
    (MalformedRequestError, Outcome.MALFORMED, HTTPStatus.BAD_REQUEST, grpc.StatusCode.INVALID_ARGUMENT),
    (RequestTooLargeError, Outcome.TOO_LARGE, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (UnauthenticatedError, Outcome.UNAUTHENTICATED, HTTPStatus.UNAUTHORIZED, grpc.StatusCode.UNAUTHENTICATED),
    (OverloadedError, Outcome.OVERLOADED, HTTPStatus.SERVICE_UNAVAILABLE, grpc.StatusCode.UNAVAILABLE),
)


def refuse(error: Exception) -> Refusal:
    """Give the answer to an error; one that nobody foresaw is logged, and the sender learns nothing of it."""
    if isinstance(error, RefusedError):
        return error.refusal
    for kind, outcome, http, code in _KINDS:
        if isinstance(error, kind):
            retry_after = None
            if isinstance(error, OverloadedError):
                retry_after = error.retry_after + random.random()  # noqa: S311 - spreads senders, guards nothing
            return Refusal(outcome, http, code, str(error), retry_after)
    log.error("a request failed", exc_info=error)
    return Refusal(
        Outcome.FAILED,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        grpc.StatusCode.INTERNAL,
        "The processor failed on this request; its log says why",
    )


def count(transport: Transport, endpoint: Endpoint, answer: Receipt | Refusal) -> None:
    """Count an answered request."""
    if isinstance(answer, Refusal):
        outcome = answer.outcome
    elif answer.rejected:
        outcome = Outcome.PARTIAL
    else:
        outcome = Outcome.OK
    REQUESTS.labels(transport, endpoint.signal, outcome).inc()
