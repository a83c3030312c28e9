"""The admin application, asked as an ASGI server asks."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from collector_processor.app.reporting.admin import Health, State, admin_app
from collector_processor.errors import UnauthenticatedError
from collector_processor.telemetry.metrics import CONTENT_TYPE


def ask(
    path: str, health: Health | None = None, method: str = "GET", headers: Any = (), **options: Any
) -> tuple[int, dict[bytes, bytes], bytes]:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    app = admin_app(lambda: health or Health(State.OK), lambda: b"up 1\n", **options)

    async def request() -> None:
        await app({"type": "http", "method": method, "path": path, "headers": headers}, receive, send)

    asyncio.run(request())
    start, body = sent
    return start["status"], dict(start["headers"]), body["body"]


def test_metrics_are_for_those_who_may_read_them_and_health_is_for_all() -> None:
    def check(authorization: bytes) -> None:
        if authorization != b"Bearer good":
            raise UnauthenticatedError("A token is needed")

    assert ask("/metrics", check=check, headers=[(b"authorization", b"Bearer good")])[0] == 200
    status, headers, body = ask("/metrics", check=check)
    assert (status, headers[b"www-authenticate"], body) == (401, b"Bearer", b"A token is needed\n")
    assert ask("/healthz", check=check)[0] == ask("/readyz", check=check)[0] == 200


@pytest.mark.parametrize(
    ("health", "healthz", "readyz"),
    [
        (Health(State.OK), 200, 200),
        (Health(State.DEGRADED, ("the database is down",), conditions=("database",)), 200, 200),
        (Health(State.OK, ready=False), 200, 503),
        (Health(State.FAILED, ("the journal can't be written",)), 503, 503),
    ],
)
def test_health_and_readiness(health: Health, healthz: int, readyz: int) -> None:
    assert ask("/healthz", health)[0] == healthz
    status, headers, body = ask("/readyz", health)
    assert status == readyz
    assert headers[b"content-type"] == b"application/json"
    assert json.loads(body) == {
        "state": health.state,
        "reasons": list(health.reasons),
        "ready": health.ready,
        "conditions": list(health.conditions),
    }


def test_metrics_are_served_in_their_content_type() -> None:
    status, headers, body = ask("/metrics")
    assert (status, body) == (200, b"up 1\n")
    assert headers[b"content-type"].decode() == CONTENT_TYPE
    assert headers[b"content-length"] == b"5"


def test_head_has_the_length_but_not_the_body() -> None:
    status, headers, body = ask("/metrics", method="HEAD")
    assert (status, headers[b"content-length"], body) == (200, b"5", b"")


def test_other_methods_and_paths_are_refused() -> None:
    status, headers, _ = ask("/metrics", method="POST")
    assert (status, headers[b"allow"]) == (405, b"GET, HEAD")
    assert ask("/v1/traces")[0] == 404
