"""The control socket: how a command on the same machine asks the running processor.

A unix socket in `DATA_DIR/control`, a folder that only its owner can enter. One request a connection: a line of
JSON `{"command": …, "arguments": {…}}`, answered by `{"result": …}` or `{"error": "…"}`. Where the path would be
longer than the kernel takes, the socket lies in a short owner-only folder, and `DATA_DIR/control/elsewhere` says
where.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from collector_processor.errors import BenchmarkError, ControlError, NotRunningError
from collector_processor.telemetry import get_logger

log = get_logger(__name__)

Handler = Callable[[Mapping[str, Any]], Awaitable[Any]]
"""Takes the request's arguments, returns what msgspec can write as JSON. A BenchmarkError is told to the asker."""

_PATH_BYTES: Final = 103
"""What macOS takes; Linux takes four more."""
_REQUEST_BYTES: Final = 1 << 20
_REQUEST_SECONDS: Final = 10.0
_SHORT: Final = Path("/tmp")  # noqa: S108 - the folder in it is made by mkdtemp; TMPDIR may be long itself
_PREFIX: Final = "otel-benchmark-control-"


class _Request(msgspec.Struct):
    command: str
    arguments: dict[str, Any] = {}


class ControlServer:
    """Answers requests until it is closed. The caller holds the journal's lock, so that no other one is there."""

    def __init__(self, data_dir: Path, handlers: Mapping[str, Handler]) -> None:
        self._folder = data_dir / "control"
        self._handlers = handlers
        self._server: asyncio.Server | None = None
        self._answering: set[asyncio.Task[None]] = set()
        self._path: Path | None = None

    async def start(self) -> Path:
        """Listen; returns the socket's path. What a killed processor left behind is removed."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        _remove_socket(self._folder)
        self._path = _place_socket(self._folder)
        self._server = await asyncio.start_unix_server(self._connected, self._path, limit=_REQUEST_BYTES)
        return self._path

    async def close(self) -> None:
        """Stop answering; whoever still waits for an answer sees the connection end."""
        if self._server is None:
            return
        self._server.close()
        for task in self._answering:
            task.cancel()
        await asyncio.gather(*self._answering, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None
        _remove_socket(self._folder)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._answering.add(task)
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                line = await reader.readline()
            writer.write(msgspec.json.encode(await self._answer(line)) + b"\n")
            await writer.drain()
        except (ConnectionError, TimeoutError, ValueError) as error:  # ValueError: a line beyond the limit
            log.debug("control: the request was not answered", error=str(error))
        finally:
            self._answering.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = msgspec.json.decode(line, type=_Request)
        except msgspec.DecodeError as error:
            return {"error": f"the request is no JSON object with a command: {error}"}
        handler = self._handlers.get(request.command)
        if handler is None:
            return {"error": f"{request.command!r} is not one of {', '.join(sorted(self._handlers))}"}
        try:
            return {"result": await handler(request.arguments)}
        except BenchmarkError as error:
            return {"error": str(error)}
        except Exception as error:
            log.exception("control: a command failed", command=request.command)
            return {"error": f"{request.command} failed: {type(error).__name__}, see the processor's log"}


def ask(data_dir: Path, command: str, arguments: Mapping[str, Any] | None = None, *, timeout: float = 30.0) -> Any:
    """Ask the processor that runs on `data_dir` and wait up to `timeout` seconds for its answer.

    Raises:
        NotRunningError: nobody listens there.
        ControlError: it refused, failed, or took too long.
    """
    folder = data_dir / "control"
    request = msgspec.json.encode({"command": command, "arguments": arguments or {}}) + b"\n"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        try:
            connection.connect(str(_find_socket(folder)))
        except PermissionError:
            raise ControlError(f"the processor of {data_dir} belongs to another user: ask as that user") from None
        except OSError:
            raise NotRunningError(
                f"no processor runs on {data_dir}: start `otel-benchmark serve`, or name its DATA_DIR"
            ) from None
        try:
            connection.sendall(request)
            with connection.makefile("rb") as stream:
                line = stream.readline()
        except TimeoutError:
            raise ControlError(f"the processor has not answered `{command}` within {timeout:g} s") from None
        except OSError:
            line = b""
    if not line.endswith(b"\n"):
        raise ControlError(f"the processor stopped before it had answered `{command}`")
    answer = msgspec.json.decode(line)
    if "error" in answer:
        raise ControlError(answer["error"])
    return answer["result"]


def _place_socket(folder: Path) -> Path:
    path = folder / "socket"
    if len(os.fsencode(path)) <= _PATH_BYTES:
        return path
    short = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_SHORT)) / "socket"
    (folder / "elsewhere").write_text(f"{short}\n")
    return short


def _find_socket(folder: Path) -> Path:
    try:
        return Path((folder / "elsewhere").read_text().strip())
    except FileNotFoundError:
        return folder / "socket"


def _remove_socket(folder: Path) -> None:
    elsewhere = folder / "elsewhere"
    if elsewhere.exists():
        short = _find_socket(folder).parent
        if short.parent == _SHORT and short.name.startswith(_PREFIX) and short.is_dir():
            shutil.rmtree(short, ignore_errors=True)
        elsewhere.unlink()
    (folder / "socket").unlink(missing_ok=True)
