"""`/healthz`, `/readyz` and `/metrics` as an ASGI application over two functions, so that it knows no stage."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from enum import StrEnum
from typing import Any

import msgspec

from collector_processor.errors import UnauthenticatedError
from collector_processor.telemetry.metrics import CONTENT_TYPE

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Message, Receive, Send], Awaitable[None]]


class State(StrEnum):
    """How the processor is: `degraded` still receives and loses nothing, `failed` needs a person or a restart."""

    OK = "ok"
    DEGRADED = "degraded"
    FAILED = "failed"


class Health(msgspec.Struct, frozen=True):
    """How the processor is, why, and whether it takes requests (not before it has started, not while it stops).

    `conditions` are the names of those that hold (see health.py), `reasons` what there is to say of them.
    """

    state: State
    reasons: tuple[str, ...] = ()
    ready: bool = True
    conditions: tuple[str, ...] = ()


def admin_app(
    health: Callable[[], Health], metrics: Callable[[], bytes], check: Callable[[bytes], None] = lambda _: None
) -> Asgi:
    """The application to be served on the setting `ADMIN`.

    `/healthz` answers 200 unless the state is `failed`, `/readyz` 200 while requests are taken, both with the
    health as JSON, else 503; probes have no token, so none is asked for. `metrics` returns the Prometheus exposition,
    to those whose authorization header `check` lets pass (else it raises UnauthenticatedError). All must be quick.
    """

    async def app(scope: Message, _receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["method"] not in {"GET", "HEAD"}:
            await _answer(scope, send, 405, b"GET or HEAD, please\n", also=(b"allow", b"GET, HEAD"))
            return
        match scope["path"]:
            case "/healthz":
                now = health()
                await _answer_health(scope, send, now, good=now.state is not State.FAILED)
            case "/readyz":
                now = health()
                await _answer_health(scope, send, now, good=now.ready and now.state is not State.FAILED)
            case "/metrics":
                try:
                    check(dict(scope["headers"]).get(b"authorization", b""))
                except UnauthenticatedError as error:
                    await _answer(scope, send, 401, f"{error}\n".encode(), also=(b"www-authenticate", b"Bearer"))
                    return
                await _answer(scope, send, 200, metrics(), content_type=CONTENT_TYPE.encode())
            case _:
                await _answer(scope, send, 404, b"/healthz, /readyz and /metrics are here\n")

    return app


async def _answer_health(scope: Message, send: Send, health: Health, *, good: bool) -> None:
    body = msgspec.json.encode(health) + b"\n"
    await _answer(scope, send, 200 if good else 503, body, content_type=b"application/json")


async def _answer(
    scope: Message,
    send: Send,
    status: int,
    body: bytes,
    *,
    content_type: bytes = b"text/plain; charset=utf-8",
    also: tuple[bytes, bytes] | None = None,
) -> None:
    headers = [
        (b"content-type", content_type),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    if also is not None:
        headers.append(also)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
