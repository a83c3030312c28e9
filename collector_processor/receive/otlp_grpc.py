"""OTLP/gRPC: raw request bytes → intake → response, by gRPC's own asyncio server.

No message class of gRPC's is involved: a request is handed on as it came. gRPC decompresses by itself and keeps
its limit on what comes out. The method is served as one that takes a stream: so its handler runs as soon as the head
is there, refuses before a body is read, and decides how long it waits for one.
"""

from __future__ import annotations

import asyncio
import os
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

# gRPC's fork handlers complain on stderr at each start of a worker process, which replaces itself at once by exec.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")

import grpc
import grpc.aio

from collector_processor.errors import ConfigError, MalformedRequestError
from collector_processor.model.stages import Intake, Receipt
from collector_processor.receive.access import OPEN, Access
from collector_processor.receive.admission import Admission, Limits
from collector_processor.receive.endpoints import BY_METHOD, Endpoint
from collector_processor.receive.refusal import Outcome, Refusal, RefusedError, Transport, count, refuse
from collector_processor.telemetry.metrics import REQUEST_BYTES, REQUEST_SECONDS

MAX_CONCURRENT_STREAMS: Final = 64
"""Calls of one connection that are held at once; the client keeps the others back."""
MAX_METADATA_BYTES: Final = 16 * 1024
HANDSHAKE_TIMEOUT: Final = 10.0
"""Seconds for TLS and the first settings of HTTP/2."""
MAX_CONNECTION_AGE: Final = 3600.0
"""Then the client is asked to connect anew, so that nobody stays on a certificate that is no longer good; calls that
run have `AGE_GRACE` more seconds."""
AGE_GRACE: Final = 60.0
IDLE_TIMEOUT: Final = 900.0
"""A connection without calls is closed; exporters make a new one when they need it."""
KEEPALIVE: Final = (60.0, 20.0)
"""Seconds of silence after which a peer is asked for a sign of life, and in which it must come."""

if TYPE_CHECKING:
    _Context = grpc.aio.ServicerContext[bytes, bytes]


class GrpcReceiver:
    """Receives OTLP/gRPC and hands it to the intake. `setting` names the address in errors."""

    def __init__(
        self, intake: Intake, admission: Admission, limits: Limits, setting: str, access: Access = OPEN
    ) -> None:
        self._intake = intake
        self._admission = admission
        self._limits = limits
        self._access = access
        self._setting = setting
        self._server: grpc.aio.Server | None = None
        self._running: set[asyncio.Task[Receipt | Refusal]] = set()

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port; with port 0 it is a free one.

        Raises:
            ConfigError: the address can't be listened on.
        """
        server = grpc.aio.server(options=self._options())
        server.add_generic_rpc_handlers((_Handlers(self),))
        certificates = self._access.certificates
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            if certificates is None:
                bound = server.add_insecure_port(address)
            else:
                bound = server.add_secure_port(address, certificates.grpc_credentials())
        except RuntimeError as error:
            raise ConfigError(
                f"{self._setting}: can't listen on {address}; free it or choose another address:port ({error})"
            ) from error
        await server.start()
        self._server = server
        return bound

    async def stop(self, grace: float = 5.0) -> None:
        """Accept nothing more, give running calls `grace` seconds, and close."""
        if self._server is None:
            return
        await self._server.stop(grace)
        if self._running:
            await asyncio.wait(self._running, timeout=grace)
        self._server = None

    def _options(self) -> list[tuple[str, int]]:
        return [
            ("grpc.max_receive_message_length", self._limits.max_request_bytes),
            ("grpc.max_concurrent_streams", MAX_CONCURRENT_STREAMS),
            ("grpc.max_allowed_incoming_connections", self._access.max_connections),
            ("grpc.max_metadata_size", MAX_METADATA_BYTES),
            ("grpc.absolute_max_metadata_size", MAX_METADATA_BYTES),
            ("grpc.server_handshake_timeout_ms", round(HANDSHAKE_TIMEOUT * 1000)),
            ("grpc.max_connection_age_ms", round(MAX_CONNECTION_AGE * 1000)),
            ("grpc.max_connection_age_grace_ms", round(AGE_GRACE * 1000)),
            ("grpc.max_connection_idle_ms", round(IDLE_TIMEOUT * 1000)),
            ("grpc.keepalive_time_ms", round(KEEPALIVE[0] * 1000)),
            ("grpc.keepalive_timeout_ms", round(KEEPALIVE[1] * 1000)),
            # Two processes on one port would share its senders between them, without a word.
            ("grpc.so_reuseport", 0),
        ]

    async def export(self, endpoint: Endpoint, context: _Context) -> bytes:
        """Answer one call."""
        # An abort and its frames are garbage that is collected too late amid an overload: they must not hold the body.
        answer = await self._answer(endpoint, context)
        if isinstance(answer, Receipt):
            response: bytes = endpoint.answer(answer).SerializeToString()
            return response
        return await context.abort(answer.code, answer.message, _trailers(answer))

    async def _answer(self, endpoint: Endpoint, context: _Context) -> Receipt | Refusal:
        """Take one request. Never raises but where the call is cancelled.

        A call that its client gives up is cancelled, but not the work behind it: its bytes are held, and counted,
        until the intake is done with them.
        """
        try:
            self._access.check(_authorization(context))
            body = await self._read(context)
        except Exception as error:  # noqa: BLE001 - every error has its answer; refuse() logs what nobody foresaw
            answer = refuse(error)
            count(Transport.GRPC, endpoint, answer)
            return answer
        work = asyncio.create_task(self._take(endpoint, body, context.peer()))
        self._running.add(work)
        work.add_done_callback(self._running.discard)
        return await asyncio.shield(work)

    async def _read(self, context: _Context) -> bytes:
        """Wait for the request's one message."""
        try:
            async with asyncio.timeout(self._limits.body_timeout):
                body = await context.read()
        except TimeoutError as error:
            raise RefusedError(_late(self._limits.body_timeout)) from error
        if not isinstance(body, bytes):
            raise MalformedRequestError("The call ended without a request")
        return body

    async def _take(self, endpoint: Endpoint, body: bytes, connection: str) -> Receipt | Refusal:
        """Hand the body on, while its bytes are counted. Never raises."""
        REQUEST_BYTES.labels(Transport.GRPC, endpoint.signal).inc(len(body))
        seconds = REQUEST_SECONDS.labels(Transport.GRPC, endpoint.signal)
        answer: Receipt | Refusal
        try:
            largest = self._limits.max_request_bytes
            with self._admission.request(largest, connection) as allowance, seconds.time():
                allowance.take(len(body))
                answer = await self._intake.accept(body, endpoint.signal)
        except Exception as error:  # noqa: BLE001 - every error has its answer; refuse() logs what nobody foresaw
            answer = refuse(error)
        count(Transport.GRPC, endpoint, answer)
        return answer


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in its stubs only
    """Finds the endpoint of a method; gRPC answers UNIMPLEMENTED where there is none."""

    def __init__(self, receiver: GrpcReceiver) -> None:
        self._handlers = {method: _handler(receiver, endpoint) for method, endpoint in BY_METHOD.items()}

    def service(self, handler_call_details: Any) -> Any:
        return self._handlers.get(handler_call_details.method)


def _handler(receiver: GrpcReceiver, endpoint: Endpoint) -> Any:
    async def export(_messages: Any, context: _Context) -> bytes:
        return await receiver.export(endpoint, context)

    return grpc.stream_unary_rpc_method_handler(export)


def _authorization(context: _Context) -> bytes:
    for name, value in context.invocation_metadata() or ():
        if name == "authorization":
            return value if isinstance(value, bytes) else value.encode()
    return b""


def _late(seconds: float) -> Refusal:
    words = f"The request did not arrive within {seconds:g} s"
    return Refusal(Outcome.MALFORMED, HTTPStatus.REQUEST_TIMEOUT, grpc.StatusCode.DEADLINE_EXCEEDED, words)


def _trailers(refusal: Refusal) -> tuple[tuple[str, bytes], ...]:
    """Give the details where the specification puts them, and the delay also where Python's exporter looks."""
    trailers = [("grpc-status-details-bin", refusal.status.SerializeToString())]
    if info := refusal.retry_info:
        trailers.append(("google.rpc.retryinfo-bin", info.SerializeToString()))
    return tuple(trailers)
