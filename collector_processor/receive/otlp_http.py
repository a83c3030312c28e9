"""OTLP/HTTP: POST of protobuf or JSON, plain or compressed → intake → answer in the request's own form.

An ASGI app. The body is decompressed as it arrives and counted against the limits, so that neither a large request
nor a gzip bomb is ever held whole. JSON is turned into protobuf in a thread, one request at a time.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Hashable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from google.protobuf import json_format
from grpc import StatusCode

from collector_processor.model.stages import Intake, Receipt
from collector_processor.receive.access import OPEN, Access
from collector_processor.receive.admission import Admission, Allowance, Limits
from collector_processor.receive.decompress import DECODERS
from collector_processor.receive.endpoints import BY_PATH, Endpoint
from collector_processor.receive.http_server import HttpServer, Receive, Send
from collector_processor.receive.otlp_json import to_protobuf
from collector_processor.receive.refusal import Outcome, Refusal, RefusedError, Transport, count, refuse
from collector_processor.telemetry import get_logger
from collector_processor.telemetry.metrics import REQUEST_BYTES, REQUEST_SECONDS

log = get_logger(__name__)


class _Form(NamedTuple):
    """How messages are written under a content type."""

    content_type: bytes
    write: Callable[[Any], bytes]


def _write_json(message: Any) -> bytes:
    return json_format.MessageToJson(message, indent=None).encode()


_PROTOBUF: Final = _Form(b"application/x-protobuf", lambda message: message.SerializeToString())
_JSON: Final = _Form(b"application/json", _write_json)
_FORMS: Final = {form.content_type: form for form in (_PROTOBUF, _JSON)}


class HttpReceiver:
    """Receives OTLP/HTTP and hands it to the intake. `setting` names the address in errors."""

    def __init__(
        self, intake: Intake, admission: Admission, limits: Limits, setting: str, access: Access = OPEN
    ) -> None:
        self._intake = intake
        self._admission = admission
        self._limits = limits
        self._access = access
        self._told = False
        self._transcoder = ThreadPoolExecutor(1, "otlp-json")
        tls = access.certificates.context() if access.certificates else None
        self._server = HttpServer(self.app, setting, tls=tls, max_connections=access.max_connections)

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port; raises ConfigError where the address can't be listened on."""
        return await self._server.start(host, port)

    async def stop(self, grace: float = 5.0) -> None:
        """Accept nothing more, answer what runs within `grace` seconds, and close."""
        await self._server.stop(grace)
        self._transcoder.shutdown(wait=False, cancel_futures=True)

    async def app(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        form = _FORMS.get(_media_type(headers))
        endpoint = BY_PATH.get(scope["path"])
        answer: Receipt | Refusal
        if endpoint is None:
            answer = _refusal(HTTPStatus.NOT_FOUND, StatusCode.NOT_FOUND, _nothing_at(scope["path"]))
            self._tell_once()
        elif scope["method"] != "POST":
            answer = _refusal(HTTPStatus.METHOD_NOT_ALLOWED, StatusCode.UNIMPLEMENTED, "Send telemetry with POST")
        elif form is None:
            answer = _unsupported(f"content-type must be {' or '.join(form.decode() for form in _FORMS)}")
        else:
            try:
                self._access.check(headers.get(b"authorization", b""))
                answer = await self._take(endpoint, form, headers, receive, scope.get("client"))
            except _DisconnectedError:
                return
            except Exception as error:  # noqa: BLE001 - each has its answer; refuse() logs what nobody foresaw
                answer = refuse(error)
        if endpoint is not None:
            count(Transport.HTTP, endpoint, answer)
        await _send(send, form or _JSON, endpoint, answer)

    def _tell_once(self) -> None:
        """Exporters show the number 404 alone, so whoever looks for his traces finds the words here.

        The path is not among them: it is the sender's text, and may hold anything.
        """
        if not self._told:
            self._told = True
            why = _nothing_at("the path of a request")
            log.warning("receive: a request was refused, and so are others like it", why=why)

    async def _take(
        self, endpoint: Endpoint, form: _Form, headers: dict[bytes, bytes], receive: Receive, connection: Hashable
    ) -> Receipt:
        """Read the body and hand it on, while its bytes are counted."""
        largest = self._limits.max_json_bytes if form is _JSON else self._limits.max_request_bytes
        with self._admission.request(largest, connection) as allowance:
            try:
                async with asyncio.timeout(self._limits.body_timeout):
                    body = await _read(headers, receive, allowance)
            except TimeoutError as error:
                late = f"The body did not arrive within {self._limits.body_timeout:g} s"
                raise RefusedError(_refusal(HTTPStatus.REQUEST_TIMEOUT, StatusCode.DEADLINE_EXCEEDED, late)) from error
            REQUEST_BYTES.labels(Transport.HTTP, endpoint.signal).inc(len(body))
            with REQUEST_SECONDS.labels(Transport.HTTP, endpoint.signal).time():
                if form is _JSON:
                    loop = asyncio.get_running_loop()
                    body = await loop.run_in_executor(self._transcoder, to_protobuf, body, endpoint)
                return await self._intake.accept(body, endpoint.signal)


class _DisconnectedError(Exception):
    """The client went away: there is nobody to answer."""


async def _read(headers: dict[bytes, bytes], receive: Receive, allowance: Allowance) -> bytes:
    """Read and decompress the whole body."""
    encoding = headers.get(b"content-encoding", b"").strip().lower().decode("latin-1")
    new_decoder = DECODERS.get(encoding)
    if new_decoder is None:
        raise RefusedError(_unsupported("content-encoding must be gzip, deflate or identity"))
    allowance.check(int(headers.get(b"content-length", b"0")))
    decoder = new_decoder()
    pieces: list[bytes] = []
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _DisconnectedError
        for piece in decoder.feed(message.get("body", b"")):
            allowance.take(len(piece))
            pieces.append(piece)
            if len(pieces) > 1:
                await asyncio.sleep(0)  # a bomb's pieces come without waiting: others get their turn
        more = message.get("more_body", False)
    decoder.finish()
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def _send(send: Send, form: _Form, endpoint: Endpoint | None, answer: Receipt | Refusal) -> None:
    """Write the answer: the endpoint's response, or the refusal's google.rpc.Status."""
    headers = [(b"content-type", form.content_type)]
    if isinstance(answer, Refusal):
        status, body = answer.http, form.write(answer.status)
        if answer.retry_after is not None:
            # Whole seconds only: rounded up or down by chance, so that the mean delay stays what it is.
            seconds = int(answer.retry_after + random.random())  # noqa: S311 - spreads senders, guards nothing
            headers.append((b"retry-after", b"%d" % max(1, seconds)))
        if status is HTTPStatus.UNAUTHORIZED:
            headers.append((b"www-authenticate", b"Bearer"))
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            headers.append((b"allow", b"POST"))
    else:
        assert endpoint is not None
        status, body = HTTPStatus.OK, form.write(endpoint.answer(answer))
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status.value, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _media_type(headers: dict[bytes, bytes]) -> bytes:
    return headers.get(b"content-type", b"").partition(b";")[0].strip().lower()


def _refusal(http: HTTPStatus, code: StatusCode, message: str) -> Refusal:
    return Refusal(Outcome.MALFORMED, http, code, message)


def _unsupported(message: str) -> Refusal:
    return _refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, StatusCode.INVALID_ARGUMENT, message)


def _nothing_at(path: str) -> str:
    return f"Nothing is received at {path[:100]}: send to {', '.join(BY_PATH)}"
