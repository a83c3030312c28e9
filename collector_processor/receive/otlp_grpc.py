"""OTLP/gRPC: raw request bytes → intake → response, by gRPC's own asyncio server.

No message class of gRPC's is involved: a request is handed on as it came. gRPC decompresses by itself and keeps
its limit on what comes out.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, Final

# gRPC's fork handlers complain on stderr at each start of a worker process, which replaces itself at once by exec.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")

import grpc
import grpc.aio

from collector_processor.errors import ConfigError
from collector_processor.model.stages import Intake, Receipt
from collector_processor.receive.admission import Admission, Limits
from collector_processor.receive.endpoints import BY_METHOD, Endpoint
from collector_processor.receive.refusal import Refusal, Transport, count, refuse
from collector_processor.telemetry.metrics import REQUEST_BYTES, REQUEST_SECONDS

MAX_CONCURRENT_STREAMS: Final = 64
"""Calls of one connection that are held at once; the client keeps the others back."""

if TYPE_CHECKING:
    _Context = grpc.aio.ServicerContext[bytes, bytes]


class GrpcReceiver:
    """Receives OTLP/gRPC and hands it to the intake. `setting` names the address in errors."""

    def __init__(self, intake: Intake, admission: Admission, limits: Limits, setting: str) -> None:
        self._intake = intake
        self._admission = admission
        self._limits = limits
        self._setting = setting
        self._server: grpc.aio.Server | None = None
        self._running: set[asyncio.Task[Receipt | Refusal]] = set()

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port; with port 0 it is a free one.

        Raises:
            ConfigError: the address can't be listened on.
        """
        server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", self._limits.max_request_bytes),
                ("grpc.max_concurrent_streams", MAX_CONCURRENT_STREAMS),
                # Two processes on one port would share its senders between them, without a word.
                ("grpc.so_reuseport", 0),
            ],
        )
        server.add_generic_rpc_handlers((_Handlers(self),))
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            bound = server.add_insecure_port(address)
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

    async def export(self, endpoint: Endpoint, body: bytes, context: _Context) -> bytes:
        """Answer one call.

        A call that its client gives up is cancelled, but not the work behind it: its bytes are held, and counted,
        until the intake is done with them.
        """
        work = asyncio.create_task(self._take(endpoint, body))
        self._running.add(work)
        work.add_done_callback(self._running.discard)
        answer = await asyncio.shield(work)
        if isinstance(answer, Receipt):
            response: bytes = endpoint.answer(answer).SerializeToString()
            return response
        return await context.abort(answer.code, answer.message, _trailers(answer))

    async def _take(self, endpoint: Endpoint, body: bytes) -> Receipt | Refusal:
        """Hand the body on, while its bytes are counted. Never raises."""
        REQUEST_BYTES.labels(Transport.GRPC, endpoint.signal).inc(len(body))
        seconds = REQUEST_SECONDS.labels(Transport.GRPC, endpoint.signal)
        answer: Receipt | Refusal
        try:
            with self._admission.request(self._limits.max_request_bytes) as allowance, seconds.time():
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
    async def export(body: bytes, context: _Context) -> bytes:
        return await receiver.export(endpoint, body, context)

    return grpc.unary_unary_rpc_method_handler(export)


def _trailers(refusal: Refusal) -> tuple[tuple[str, bytes], ...]:
    """Give the details where the specification puts them, and the delay also where Python's exporter looks."""
    trailers = [("grpc-status-details-bin", refusal.status.SerializeToString())]
    if info := refusal.retry_info:
        trailers.append(("google.rpc.retryinfo-bin", info.SerializeToString()))
    return tuple(trailers)
