"""The control socket, with its server in an event loop and its client in a thread, as commands use it."""

from __future__ import annotations

import asyncio
import socket
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from collector_processor.app.control import ControlServer, Handler, ask
from collector_processor.errors import ControlError, JournalError, NotRunningError


async def echo(arguments: Mapping[str, Any]) -> Any:
    return dict(arguments)


async def refuse(_arguments: Mapping[str, Any]) -> Any:
    raise JournalError("the journal is full")


async def fail(_arguments: Mapping[str, Any]) -> Any:
    raise ZeroDivisionError("a secret detail")


async def never(_arguments: Mapping[str, Any]) -> Any:
    await asyncio.Event().wait()


HANDLERS: Mapping[str, Handler] = {"echo": echo, "refuse": refuse, "fail": fail, "never": never}


def talk(data_dir: Path, *requests: tuple[str, Mapping[str, Any]]) -> list[Any]:
    """What the server answers to each request; an error in place of an answer where it is one."""

    async def run() -> list[Any]:
        server = ControlServer(data_dir, HANDLERS)
        await server.start()
        try:
            calls = [asyncio.to_thread(ask, data_dir, command, arguments) for command, arguments in requests]
            return await asyncio.gather(*calls, return_exceptions=True)
        finally:
            await server.close()

    return asyncio.run(run())


def test_a_command_is_answered(tmp_path: Path) -> None:
    many = [("echo", {"number": number, "text": "ä" * 100_000}) for number in range(5)]
    assert talk(tmp_path, *many) == [arguments for _, arguments in many]


def test_refusals_are_told_and_details_of_bugs_are_not(tmp_path: Path) -> None:
    refused, failed, unknown = talk(tmp_path, ("refuse", {}), ("fail", {}), ("stat", {}))
    assert isinstance(refused, ControlError)
    assert str(refused) == "the journal is full"
    assert str(failed) == "fail failed: ZeroDivisionError, see the processor's log"
    assert str(unknown) == "'stat' is not one of echo, fail, never, refuse"


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(NotRunningError, match="no processor runs on"):
        ask(tmp_path, "echo")


def test_what_a_killed_processor_left_is_not_taken_for_a_running_one(tmp_path: Path) -> None:
    folder = tmp_path / "control"
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(folder / "socket"))
    with pytest.raises(NotRunningError):
        ask(tmp_path, "echo")
    assert talk(tmp_path, ("echo", {"a": 1})) == [{"a": 1}]


def test_only_the_owner_can_reach_it_and_nothing_stays_behind(tmp_path: Path) -> None:
    async def run() -> int:
        server = ControlServer(tmp_path, HANDLERS)
        path = await server.start()
        mode = path.parent.stat().st_mode
        await server.close()
        await server.close()
        return mode

    assert stat.S_IMODE(asyncio.run(run())) == 0o700
    assert list((tmp_path / "control").iterdir()) == []


def test_a_long_path_is_served_from_a_short_place(tmp_path: Path) -> None:
    data_dir = tmp_path / ("long" * 30)

    async def run(leave: bool) -> tuple[Path, Any, int]:
        server = ControlServer(data_dir, HANDLERS)
        path = await server.start()
        answer = await asyncio.to_thread(ask, data_dir, "echo", {"a": 1})
        mode = path.parent.stat().st_mode
        pointer = (data_dir / "control" / "elsewhere").read_text()
        await server.close()
        if leave:  # what a kill would have left
            path.parent.mkdir()
            (data_dir / "control" / "elsewhere").write_text(pointer)
        return path, answer, mode

    left, answer, mode = asyncio.run(run(leave=True))
    assert (answer, stat.S_IMODE(mode)) == ({"a": 1}, 0o700)
    path, answer, _ = asyncio.run(run(leave=False))
    assert answer == {"a": 1}
    assert not left.exists()
    assert not path.parent.exists()
    assert list((data_dir / "control").iterdir()) == []


def test_closing_ends_those_who_wait(tmp_path: Path) -> None:
    async def run() -> None:
        asked = asyncio.Event()

        async def wait(_arguments: Mapping[str, Any]) -> Any:
            asked.set()
            await asyncio.Event().wait()

        server = ControlServer(tmp_path, {"wait": wait})
        await server.start()
        waiting = asyncio.create_task(asyncio.to_thread(ask, tmp_path, "wait"))
        await asked.wait()
        await server.close()
        with pytest.raises(ControlError, match="stopped before it had answered `wait`"):
            await waiting

    asyncio.run(run())


def test_patience_ends(tmp_path: Path) -> None:
    async def run() -> None:
        server = ControlServer(tmp_path, HANDLERS)
        await server.start()
        try:
            with pytest.raises(ControlError, match=r"has not answered `never` within 0\.01 s"):
                await asyncio.to_thread(ask, tmp_path, "never", timeout=0.01)
        finally:
            await server.close()

    asyncio.run(run())


@pytest.mark.parametrize("line", [b"status\n", b"{}\n", b'{"command": 3}\n', b"\xff\n", b""])
def test_a_line_that_is_no_request_is_refused(tmp_path: Path, line: bytes) -> None:
    def send(path: Path) -> bytes:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            connection.sendall(line)
            connection.shutdown(socket.SHUT_WR)
            return connection.makefile("rb").read()

    async def run() -> bytes:
        server = ControlServer(tmp_path, HANDLERS)
        path = await server.start()
        try:
            return await asyncio.to_thread(send, path)
        finally:
            await server.close()

    assert b"the request is no JSON object with a command" in asyncio.run(run())
