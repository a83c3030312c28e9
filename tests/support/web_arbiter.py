"""An arbiter behind a web server, as WSGI and as ASGI application: a request is a task, the answer its id."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from itertools import count
from typing import Any

from opentelemetry import trace

from support import busy_arbiter

numbers = count()
Message = MutableMapping[str, Any]


def task() -> bytes:
    task_id = f"{os.getpid()}-{next(numbers)}"
    busy_arbiter.handle({"id": task_id, "type": "research"})
    return task_id.encode()


def wsgi(_environ: object, start_response: Callable[[str, list[tuple[str, str]]], object]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [task()]


async def asgi(scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Any]) -> None:
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": task()})


async def lifespan(receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Any]) -> None:
    """Flush at the end, since uvicorn then ends itself by the signal that it got, without `atexit`."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    provider: Any = trace.get_tracer_provider()
    await asyncio.to_thread(provider.force_flush)
    await send({"type": "lifespan.shutdown.complete"})
