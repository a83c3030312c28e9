"""A model's endpoint on loopback that answers as a test says: only the model is not real, the HTTP is."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

VOTE = {
    "criteria": [{"name": "task", "score": 0.9, "reason": "done"}],
    "reasoning": "All that was asked is done.",
    "overall_score": 0.8,
    "verdict": "pass",
}


class Reply(NamedTuple):
    """An answer: a status, and the text that the model says or, in `body`, something else altogether."""

    said: Any = None
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None


class Request(NamedTuple):
    """What the endpoint was sent."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def texts(self) -> list[str]:
        return [message["content"] for message in self.body["messages"]]


class ModelEndpoint:
    """Attributes: `requests` so far, and `url` to be asked at."""

    def __init__(self, answer: Callable[[Request], Reply]) -> None:
        self.requests: list[Request] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["content-length"])
                request = Request(self.path, {**self.headers}, json.loads(self.rfile.read(length)))
                endpoint.requests.append(request)
                reply = answer(request)
                body = reply.body
                if body is None:
                    said = reply.said if isinstance(reply.said, str) else json.dumps(reply.said)
                    body = json.dumps({"model": "stub-7b", "choices": [{"message": {"content": said}}]}).encode()
                self.send_response(reply.status)
                for name, value in (*reply.headers, ("content-length", str(len(body)))):
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    @contextmanager
    def serving(self) -> Iterator[ModelEndpoint]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()


@contextmanager
def model_endpoint(*replies: Reply) -> Iterator[ModelEndpoint]:
    """An endpoint that gives these replies in turn, the last one for ever; without any, the usual vote."""
    left = [*replies] or [Reply(VOTE)]

    def answer(_: Request) -> Reply:
        return left.pop(0) if len(left) > 1 else left[0]

    with ModelEndpoint(answer).serving() as endpoint:
        yield endpoint
