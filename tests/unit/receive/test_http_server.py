"""The server is a guest: it takes no signal, and leaves no task and no port behind."""

from __future__ import annotations

import asyncio
import signal
import socket

import pytest
from structlog.testing import capture_logs

from collector_processor.errors import ConfigError
from collector_processor.receive.http_server import HttpServer


async def hello(_scope, _receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


async def get(host: str, port: int) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


def test_it_serves_any_app_and_stops_without_a_trace():
    async def scenario():
        handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        server = HttpServer(hello, "SETTING")
        port = await server.start("127.0.0.1", 0)
        assert (await get("127.0.0.1", port)).endswith(b"hello")
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
        await server.stop()
        await server.stop()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0

    asyncio.run(scenario())


def test_it_listens_on_ipv6():
    async def scenario():
        server = HttpServer(hello, "SETTING")
        try:
            port = await server.start("::1", 0)
        except ConfigError:
            pytest.skip("no IPv6 on this machine")
        assert (await get("::1", port)).endswith(b"hello")
        await server.stop()

    asyncio.run(scenario())


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1"])
def test_an_address_that_is_not_ours_names_the_setting(host):
    with pytest.raises(ConfigError, match=f"SETTING: can't listen on {host}:0: .*choose another address:port"):
        asyncio.run(HttpServer(hello, "SETTING").start(host, 0))


def test_a_running_request_is_answered_before_the_server_stops():
    async def scenario():
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def slow(scope, receive, send):
            begun.set()
            await go_on.wait()
            await hello(scope, receive, send)

        server = HttpServer(slow, "SETTING")
        port = await server.start("127.0.0.1", 0)
        asking = asyncio.create_task(get("127.0.0.1", port))
        await begun.wait()
        stopping = asyncio.create_task(server.stop(30))
        await asyncio.sleep(0.2)
        go_on.set()
        assert (await asking).endswith(b"hello")
        await stopping

    asyncio.run(scenario())


def test_connections_beyond_the_limit_are_closed_and_told_once():
    async def scenario():
        server = HttpServer(hello, "SETTING", max_connections=2)
        port = await server.start("127.0.0.1", 0)
        opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(5)]
        assert [await reader.read() for reader, _ in opened[2:]] == [b""] * 3
        for _, writer in opened:
            writer.close()
            await writer.wait_closed()
        await server.stop()

    with capture_logs() as logs:
        asyncio.run(scenario())
    told = [each["event"] for each in logs]
    assert told == ["receive: the newest connections are closed, there are too many"]


def test_grpc_on_the_wrong_port_is_told_apart_from_nonsense(caplog):
    async def said_to(sent: bytes) -> bytes:
        server = HttpServer(hello, "SETTING")
        reader, writer = await asyncio.open_connection("127.0.0.1", await server.start("127.0.0.1", 0))
        writer.write(sent)
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        await server.stop()
        return answer

    answer = asyncio.run(said_to(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"not HTTP/2 or gRPC" in answer
    assert [record.getMessage().partition(";")[0] for record in caplog.records if record.name == "uvicorn.error"] == [
        "HTTP/2 came to a port that speaks HTTP/1.1"
    ]
    assert b"HTTP/2" not in asyncio.run(said_to(b"nonsense\r\n\r\n"))
