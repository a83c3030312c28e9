"""An ASGI app on host:port inside a running event loop: uvicorn, without its signal handlers and its own logs.

Reusable for any app. A connection can't hold the server up: a TLS handshake and a request's head must come within
`HEAD_TIMEOUT` and the head fit in `MAX_HEAD_BYTES`, and the rest of a body that was answered early must come within
`DRAIN_TIMEOUT`. How long a body may take that the app reads is the app's business.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from collector_processor.errors import ConfigError
from collector_processor.telemetry import get_logger

log = get_logger(__name__)

HEAD_TIMEOUT: Final = 10.0
DRAIN_TIMEOUT: Final = 10.0
KEEP_ALIVE: Final = 75
"""Longer than exporters pause between two requests, or they would find their connection closed under them."""
MAX_CONNECTION_AGE: Final = 3600.0
"""Then the next answer ends the connection, so that nobody stays on a certificate that is no longer good."""
MAX_HEAD_BYTES: Final = 64 * 1024
_BACKLOG: Final = 2048
_TELL_SECONDS: Final = 60.0
_HTTP_2_PREFACE: Final = b"PRI * HTTP/2.0"

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class HttpServer:
    """Serves one ASGI app. `setting` is the configuration's name for the address: errors show it.

    With `tls` it speaks nothing else. Connections beyond `max_connections` are closed at once.
    """

    def __init__(
        self, app: App, setting: str, *, tls: ssl.SSLContext | None = None, max_connections: int = 1000
    ) -> None:
        self._app = app
        self._setting = setting
        self._tls = tls
        self._max_connections = max_connections
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port; with port 0 it is a free one.

        Raises:
            ConfigError: the address can't be listened on.
        """
        listener = _listen(host, port, self._setting)
        config = uvicorn.Config(
            self._app,
            http=_Connection,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE,
            backlog=_BACKLOG,
        )
        self._server = _Server(config, self._tls, self._max_connections)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        await self._server.listening.wait()
        bound: int = listener.getsockname()[1]
        return bound

    async def stop(self, grace: float = 5.0) -> None:
        """Accept nothing more, give running requests `grace` seconds, and close."""
        if self._server is None or self._serving is None:
            return
        self._server.config.timeout_graceful_shutdown = max(1, round(grace))
        self._server.should_exit = True
        await self._serving
        self._server = self._serving = None


def _listen(host: str, port: int, setting: str) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ConfigError(
            f"{setting}: can't listen on {host}:{port}: {error.strerror or error}; "
            "free it or choose another address:port"
        ) from error


class _Ceiling:
    """How many connections a server holds at once, and that more came: told once a minute, or it would fill a log."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._tell_after = 0.0

    def exceeded(self, connections: int) -> bool:
        """Whether the newest of so many is one too many."""
        if connections <= self._limit:
            return False
        if (now := time.monotonic()) >= self._tell_after:
            log.warning("receive: the newest connections are closed, there are too many", limit=self._limit)
            self._tell_after = now + _TELL_SECONDS
        return True


class _Server(uvicorn.Server):
    """A server that is a guest in a process of its own signals."""

    def __init__(self, config: uvicorn.Config, tls: ssl.SSLContext | None, max_connections: int) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()
        self._tls = tls
        self._ceiling = _Ceiling(max_connections)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        # As uvicorn does it, but that a handshake has a deadline too.
        await self.lifespan.startup()
        loop = asyncio.get_running_loop()
        handshake = HEAD_TIMEOUT if self._tls else None
        self.servers = [
            await loop.create_server(
                self._connection, sock=each, ssl=self._tls, ssl_handshake_timeout=handshake, backlog=_BACKLOG
            )
            for each in sockets or ()
        ]
        self.started = True
        self.listening.set()

    def _connection(self) -> _Connection:
        return _Connection(self.config, self.server_state, self.lifespan.state, self._ceiling)


class _Connection(HttpToolsProtocol):
    """uvicorn's connection with a deadline wherever the peer alone decides how long it lasts."""

    _deadline: asyncio.TimerHandle | None = None
    _head_bytes = 0
    """Bytes of a head that is not whole yet."""
    _in_body = False
    _made = 0.0

    def __init__(self, config: Any, server_state: Any, app_state: Any, ceiling: _Ceiling) -> None:
        super().__init__(config, server_state, app_state)
        self._ceiling = ceiling

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        self._made = self.loop.time()
        if self._ceiling.exceeded(len(self.connections)):
            transport.close()
            return
        self._close_in(HEAD_TIMEOUT)

    def connection_lost(self, exc: Exception | None) -> None:
        self._keep_open()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._in_body and data.startswith(_HTTP_2_PREFACE):
            # gRPC's exporters repeat the attempt, and show nothing of an answer in HTTP/1.1: it is said here.
            self.logger.warning("HTTP/2 came to a port that speaks HTTP/1.1; is it gRPC, meant for the gRPC port?")
            self.send_400_response("This port speaks HTTP/1.1, not HTTP/2 or gRPC")
            return
        if not self._in_body:
            self._head_bytes += len(data)
        super().data_received(data)
        if not self._head_bytes or self.transport.is_closing():
            return
        if self._head_bytes > MAX_HEAD_BYTES:
            self.send_400_response(f"The request's head is larger than {MAX_HEAD_BYTES} bytes")
        elif self._deadline is None:
            self._close_in(HEAD_TIMEOUT)

    def on_headers_complete(self) -> None:
        self._in_body, self._head_bytes = True, 0
        self._keep_open()
        super().on_headers_complete()
        if self.loop.time() - self._made > MAX_CONNECTION_AGE:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        self._in_body = False
        self._keep_open()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._in_body and not self.transport.is_closing():
            self._close_in(DRAIN_TIMEOUT)

    def _close_in(self, seconds: float) -> None:
        self._keep_open()
        self._deadline = self.loop.call_later(seconds, self.transport.close)

    def _keep_open(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
