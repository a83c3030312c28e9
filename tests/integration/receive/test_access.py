"""Who may connect and send, by the real exporters with the variables that they all know."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
import trustme
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from support.lifecycle import payload, task
from support.processor import http_request

from collector_processor.receive import http_server, otlp_grpc
from collector_processor.receive.access import Access
from collector_processor.receive.admission import Admission, Limits
from collector_processor.receive.otlp_grpc import GrpcReceiver
from collector_processor.receive.otlp_http import HttpReceiver
from collector_processor.receive.tls import CertificateFiles, Certificates
from collector_processor.receive.tokens import Tokens

FIRST, SECOND = "the-first-of-two-good-tokens", "the-second-of-two-good-tokens"
METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


class Doors(NamedTuple):
    """Both receivers of one test, and what came through them."""

    intake: Any
    http: str
    grpc: str


@pytest.fixture
def doors(loop, memory_intake) -> Callable[..., Any]:
    """Open both receivers to those whom `access` lets in."""

    @contextmanager
    def opened(access: Access, limits: Limits | None = None) -> Iterator[Doors]:
        intake, admission = memory_intake(), Admission(4_000_000)
        limits = limits or Limits(2_000_000, body_timeout=30.0)
        http = loop.call(lambda: HttpReceiver(intake, admission, limits, "OTLP_HTTP", access))
        grpc_ = loop.call(lambda: GrpcReceiver(intake, admission, limits, "OTLP_GRPC", access))
        try:
            ports = [loop.run(each.start("127.0.0.1", 0)) for each in (http, grpc_)]
            yield Doors(intake, *(f"127.0.0.1:{port}" for port in ports))
            assert admission.bytes_in_flight == 0
        finally:
            loop.run(http.stop(1))
            loop.run(grpc_.stop(1))

    return opened


@pytest.fixture
def spans():
    memory = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    provider.get_tracer("app").start_span("step").end()
    provider.shutdown()
    return memory.get_finished_spans()


@pytest.fixture(params=["http", "grpc"])
def send(request, spans, monkeypatch) -> Callable[..., bool]:
    """Send a span by a new exporter that is configured by `OTEL_EXPORTER_OTLP_…`; whether it was taken.

    For so many `seconds` a refusal is tried again, so those that are to be refused get one.
    """
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)  # with them `requests` forgets what it was told

    def attempt(doors: Doors, scheme: str = "https", seconds: float = 30, **variables: Any) -> bool:
        with monkeypatch.context() as environment:
            for name, value in variables.items():
                environment.setenv(f"OTEL_EXPORTER_OTLP_{name}", str(value))
            exporter: HttpExporter | GrpcExporter
            if request.param == "http":
                exporter = HttpExporter(f"{scheme}://{doors.http}/v1/traces", timeout=seconds)
            else:
                exporter = GrpcExporter(f"{scheme}://{doors.grpc}", timeout=seconds)
        try:
            return exporter.export(spans) is SpanExportResult.SUCCESS
        finally:
            exporter.shutdown()

    return attempt


# -- TLS ---------------------------------------------------------------------------------------------


class Pki:
    """An authority and the files that it gives to a server or a client."""

    def __init__(self, folder: Path, name: str) -> None:
        self.authority = trustme.CA()
        self.folder = folder
        self.file = folder / f"{name}-ca.pem"
        self.authority.cert_pem.write_to_path(self.file)

    def write(self, name: str, *subjects: str) -> tuple[Path, Path]:
        """A certificate and its key, over what had this name before."""
        issued = self.authority.issue_cert(*subjects)
        chain, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(key)
        return chain, key


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path, "first")


@pytest.fixture
def strangers(tmp_path: Path) -> Pki:
    return Pki(tmp_path, "other")


def tls(pki: Pki, clients: Pki | None = None) -> Access:
    files = CertificateFiles(*pki.write("server", "127.0.0.1"), clients.file if clients else None)
    return Access(Certificates(files, "TLS_", interval=0.0))


def test_spans_come_over_tls(doors, send, pki):
    with doors(tls(pki)) as ours:
        assert send(ours, CERTIFICATE=pki.file)
        assert [span.name for span in ours.intake.spans] == ["step"]


def test_a_server_that_is_not_trusted_gets_nothing_and_neither_does_clear_text(doors, send, pki, strangers):
    with doors(tls(pki)) as ours:
        assert not send(ours, seconds=1, CERTIFICATE=strangers.file)
        assert not send(ours, seconds=1, scheme="http")
        assert ours.intake.requests == 0


def test_a_client_needs_a_certificate_of_an_authority_that_we_know(doors, send, pki, strangers):
    with doors(tls(pki, clients=pki)) as ours:
        for authority, taken in ((pki, True), (strangers, False), (None, False)):
            shown = {}
            if authority:
                chain, key = authority.write("client", "arbiter@example.org")
                shown = {"CLIENT_CERTIFICATE": chain, "CLIENT_KEY": key}
            assert send(ours, seconds=30 if taken else 1, CERTIFICATE=pki.file, **shown) is taken
        assert ours.intake.requests == 1


def test_a_rotated_certificate_is_shown_to_the_next_connection(doors, send, pki, strangers):
    with doors(tls(pki)) as ours:
        assert send(ours, CERTIFICATE=pki.file)
        strangers.write("server", "127.0.0.1")  # the same files, of another authority
        assert send(ours, CERTIFICATE=strangers.file)
        assert not send(ours, seconds=1, CERTIFICATE=pki.file)


def test_a_rotated_authority_of_clients_is_asked_from_the_next_connection_on(doors, send, pki, strangers, tmp_path):
    clients = Pki(tmp_path, "clients")
    with doors(tls(pki, clients)) as ours:
        old, new = (each.write(f"client-{number}", "a@b.org") for number, each in enumerate((clients, strangers)))
        for taken in (old, new):
            refused = new if taken is old else old
            assert send(ours, CERTIFICATE=pki.file, CLIENT_CERTIFICATE=taken[0], CLIENT_KEY=taken[1])
            assert not send(ours, seconds=1, CERTIFICATE=pki.file, CLIENT_CERTIFICATE=refused[0], CLIENT_KEY=refused[1])
            strangers.authority.cert_pem.write_to_path(clients.file)


def test_files_that_do_not_fit_leave_the_old_certificate_in_force(doors, send, pki):
    access = tls(pki)
    assert access.certificates
    with doors(access) as ours:
        key = pki.folder / "server.key"
        good = key.read_bytes()
        pki.authority.issue_cert("127.0.0.1").private_key_pem.write_to_path(key)
        assert send(ours, CERTIFICATE=pki.file)
        (problem,) = access.problems()
        assert problem.startswith(f"TLS_KEY_FILE: {key} is not the key of {pki.folder / 'server.pem'}")
        assert "stays in force" in problem
        key.write_bytes(good)
        assert send(ours, CERTIFICATE=pki.file)
        assert list(access.problems()) == []


def test_a_handshake_that_does_not_come_ends_the_connection(doors, pki, monkeypatch):
    monkeypatch.setattr(http_server, "HEAD_TIMEOUT", 0.1)
    monkeypatch.setattr(otlp_grpc, "HANDSHAKE_TIMEOUT", 0.1)
    with doors(tls(pki)) as ours:
        for address in (ours.http, ours.grpc):
            with connect(address) as client:
                client.sendall(b"\x16\x03\x01")
                assert client.recv(1) == b""


def test_old_protocols_are_not_spoken(doors, pki):
    with doors(tls(pki)) as ours:
        for address in (ours.http, ours.grpc):
            context = ssl.create_default_context(cafile=str(pki.file))
            with connect(address) as client, context.wrap_socket(client, server_hostname="127.0.0.1") as secure:
                assert secure.version() == "TLSv1.3"
            context.set_ciphers("DEFAULT:@SECLEVEL=0")  # we would speak it
            with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
                context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
            with connect(address) as client, pytest.raises(ssl.SSLError, match=r"PROTOCOL_VERSION|EOF"):
                context.wrap_socket(client, server_hostname="127.0.0.1")


# -- Tokens ------------------------------------------------------------------------------------------


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    path = tmp_path / "tokens"
    path.write_text(f"# until 2027\n{FIRST}\n\n  {SECOND}  \n")
    return path


def header(token: str, scheme: str = "Bearer") -> str:
    return f"authorization={scheme}%20{token}"


def test_who_names_a_token_may_send(doors, send, tokens):
    with doors(Access(tokens=Tokens(tokens, "TOKENS_FILE"))) as ours:
        assert send(ours, scheme="http", HEADERS=header(FIRST))
        assert send(ours, scheme="http", HEADERS=header(SECOND, "bearer"))
        for wrong in (header(FIRST[:-1]), header(FIRST + "x"), header(FIRST, "Basic"), header("%23"), "x=y"):
            assert not send(ours, seconds=1, scheme="http", HEADERS=wrong)
        assert ours.intake.requests == 2


def test_tokens_are_rotated_while_it_runs(doors, send, tokens):
    with doors(Access(tokens=Tokens(tokens, "TOKENS_FILE", interval=0.0))) as ours:
        assert send(ours, scheme="http", HEADERS=header(FIRST))
        tokens.write_text(f"{SECOND}\nthe-third-token-of-all\n")
        assert send(ours, scheme="http", HEADERS=header(SECOND))
        assert send(ours, scheme="http", HEADERS=header("the-third-token-of-all"))
        assert not send(ours, seconds=1, scheme="http", HEADERS=header(FIRST))
        tokens.unlink()
        assert send(ours, scheme="http", HEADERS=header(SECOND)), "a file that is gone revokes nothing"


def test_both_tls_and_a_token_where_both_are_configured(doors, send, pki, tokens):
    access = tls(pki, clients=pki)._replace(tokens=Tokens(tokens, "TOKENS_FILE"))
    chain, key = pki.write("client", "arbiter@example.org")
    shown = {"CERTIFICATE": pki.file, "CLIENT_CERTIFICATE": chain, "CLIENT_KEY": key}
    with doors(access) as ours:
        assert send(ours, **shown, HEADERS=header(FIRST))
        assert not send(ours, seconds=1, **shown)
        assert not send(ours, seconds=1, CERTIFICATE=pki.file, HEADERS=header(FIRST))
        assert ours.intake.requests == 1


def test_a_refusal_says_what_to_send_before_any_body_is_read(doors, tokens):
    with doors(Access(tokens=Tokens(tokens, "TOKENS_FILE"))) as ours:
        kind = {"content-type": "application/x-protobuf"}
        status, headers, answer = http_request(ours.http, "POST", "/v1/traces", payload([task()]), kind)
        assert (status, headers["www-authenticate"]) == (401, "Bearer")
        assert b"OTEL_EXPORTER_OTLP_HEADERS" in answer
        with connect(ours.http) as client:
            client.sendall(b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n")
            client.sendall(b"content-length: 1000000\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 401")
        with grpc.insecure_channel(ours.grpc) as channel:
            code, words = refused(channel, authorization="Bearer no")
        assert code is grpc.StatusCode.UNAUTHENTICATED
        assert words == (
            "The token is not known here: send the header `authorization: Bearer TOKEN` "
            "(OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20TOKEN)"
        )


# -- Slow and greedy clients -------------------------------------------------------------------------


def connect(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=30)


def refused(channel: grpc.Channel, **metadata: str) -> tuple[grpc.StatusCode, str | None]:
    """The answer to a call whose body never comes."""
    over = threading.Event()

    def silence() -> Iterator[bytes]:
        over.wait(30)
        yield from ()

    call = channel.stream_unary(METHOD, bytes, bytes)
    try:
        with pytest.raises(grpc.RpcError) as raised:
            call(silence(), metadata=list(metadata.items()))
    finally:
        over.set()
    return raised.value.code(), raised.value.details()


def test_a_body_that_does_not_come_by_http_is_answered_408(doors):
    with doors(Access(), Limits(body_timeout=0.1)) as ours, connect(ours.http) as client:
        client.sendall(b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n")
        client.sendall(b"content-length: 10\r\n\r\nabc")
        assert client.recv(100).startswith(b"HTTP/1.1 408")


def test_a_body_that_does_not_come_by_grpc_is_not_awaited_for_ever(doors):
    with doors(Access(), Limits(body_timeout=0.1)) as ours, grpc.insecure_channel(ours.grpc) as channel:
        assert refused(channel) == (
            grpc.StatusCode.DEADLINE_EXCEEDED,
            "The request did not arrive within 0.1 s",
        )


def test_a_call_without_a_message_is_malformed(doors):
    with doors(Access()) as ours, grpc.insecure_channel(ours.grpc) as channel:
        with pytest.raises(grpc.RpcError) as raised:
            channel.stream_unary(METHOD, bytes, bytes)(iter(()))
        assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_metadata_beyond_the_limit_is_refused(doors):
    with doors(Access()) as ours, grpc.insecure_channel(ours.grpc) as channel:
        code, _ = refused(channel, x="y" * otlp_grpc.MAX_METADATA_BYTES)
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("door", ["http", "grpc"])
def test_connections_beyond_the_limit_are_closed(doors, door):
    with doors(Access(max_connections=2)) as ours, ExitStack() as held:
        address = getattr(ours, door)
        first, second = (held.enter_context(connect(address)) for _ in range(2))
        for client in (first, second):
            client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" if door == "grpc" else b"POST ")
        third = held.enter_context(connect(address))
        assert third.recv(1) == b""


@pytest.mark.parametrize("sent", [b"", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"])
def test_a_grpc_connection_that_says_nothing_is_closed(doors, monkeypatch, sent):
    monkeypatch.setattr(otlp_grpc, "HANDSHAKE_TIMEOUT", 0.1)
    with doors(Access()) as ours, connect(ours.grpc) as client:
        client.sendall(sent)
        while client.recv(4096):
            pass


def test_an_old_http_connection_ends_with_its_next_answer(doors, monkeypatch):
    with doors(Access()) as ours:
        connection = http.client.HTTPConnection(ours.http)
        with contextlib.closing(connection):
            for age, end in ((3600.0, None), (-1.0, "close")):
                monkeypatch.setattr(http_server, "MAX_CONNECTION_AGE", age)
                connection.request("POST", "/v1/traces", payload([task()]), {"content-type": "application/x-protobuf"})
                answer = connection.getresponse()
                answer.read()
                assert (answer.status, answer.getheader("connection")) == (200, end)


def test_an_old_grpc_connection_is_replaced_without_a_loss(doors, monkeypatch, spans):
    monkeypatch.setattr(otlp_grpc, "MAX_CONNECTION_AGE", 0.05)
    with doors(Access()) as ours:
        exporter = GrpcExporter(f"http://{ours.grpc}", timeout=30)
        for _ in range(4):
            assert exporter.export(spans) is SpanExportResult.SUCCESS
            time.sleep(0.05)
        exporter.shutdown()
        assert ours.intake.requests == 4
