"""A request to a path where nothing is received is answered each time, and logged once without its path."""

from __future__ import annotations

import asyncio
from typing import Any

from structlog.testing import capture_logs

from collector_processor.receive.admission import Admission, Limits
from collector_processor.receive.otlp_http import HttpReceiver


def test_a_wrong_path_is_told_once() -> None:
    receiver = HttpReceiver(None, Admission(1 << 20), Limits(), "OTLP_HTTP")  # no request reaches the intake
    answers: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            answers.append(message["status"])

    async def post(path: str) -> None:
        scope = {"type": "http", "method": "POST", "path": path, "headers": [(b"content-type", b"application/json")]}
        await receiver.app(scope, receive, send)

    with capture_logs() as logs:
        for path in ("/", "/of/mia.li@corp.com", "/v1/metrics"):
            asyncio.run(post(path))
    assert answers == [404] * 3
    (told,) = logs
    assert told["why"].startswith("Nothing is received at the path of a request: send to /v1/traces")
