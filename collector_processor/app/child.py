"""The processor's own processes: how one is started, and how it speaks over its standard input and output."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine
from typing import TypeAlias

import msgspec
import uvloop

from collector_processor.app.memory import be_sparing
from collector_processor.app.protocol import frame

Send: TypeAlias = Callable[[msgspec.Struct], None]


async def spawn(module: str) -> asyncio.subprocess.Process:
    """Start a module that calls `run`; its input and output are pipes to us."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )


def run(serve: Callable[[asyncio.StreamReader, Send], Coroutine[None, None, None]], *, niceness: int = 0) -> None:
    """Be such a process: `serve` reads frames and sends messages, until it comes back or the front has ended."""
    # Ctrl-C reaches the whole process group of a terminal; the front decides when we end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(niceness)
    be_sparing()
    output = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # a stray print must not break the protocol

    def send(message: msgspec.Struct) -> None:
        data = memoryview(frame(message))
        while data:
            data = data[os.write(output, data) :]

    async def speak() -> None:
        reader = asyncio.StreamReader(limit=1 << 24)
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        await serve(reader, send)

    try:
        uvloop.run(speak())
    except (EOFError, BrokenPipeError):
        os._exit(0)  # there is nobody to tell, and nothing to save
