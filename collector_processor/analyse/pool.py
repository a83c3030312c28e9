"""The pool: processes that analyse, one sample at a time each, each replaced when it dies or has to be ended."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import msgspec

from collector_processor.analyse.budget import Budget
from collector_processor.analyse.material import Work
from collector_processor.analyse.process import LENGTH, Job, decode_sample, encode
from collector_processor.errors import AnalysisError
from collector_processor.model.samples import Sample, SampleReason, SampleStatus
from collector_processor.model.sampling import Facet
from collector_processor.telemetry import get_logger

log = get_logger(__name__)

START_SECONDS: Final = 60.0
"""How long a process may take to be ready; less than two as a rule."""
UNACCOUNTED: Final = frozenset(
    {SampleReason.TIMED_OUT, SampleReason.CRASHED, SampleReason.OUT_OF_MEMORY, SampleReason.TOO_LARGE}
)
"""Reasons of a sample that may not know of the requests that were made for it."""
FRAME_BYTES: Final = 64 * 1024
"""What a sample may be longer than its content."""

Booked = Mapping[Facet, Mapping[int, int]]
"""Facet → minute since the epoch → requests to its model."""
Keep = Callable[[Booked], Awaitable[None]]


class Limits(msgspec.Struct, frozen=True):
    """What one sample may cost.

    Attributes:
        seconds: of an analyser that works alone.
        model_seconds: of one that asks a model.
        input_bytes: of a task's raw parts and its record.
        sample_bytes: of what comes out.
    """

    seconds: float = 30.0
    model_seconds: float = 300.0
    input_bytes: int = 64 << 20
    sample_bytes: int = 2 << 20


class Asking(msgspec.Struct, frozen=True):
    """Of a facet that asks a model: the fewest requests that make sense of it, the most it may need, the hour's."""

    least: int
    most: int
    calls_per_hour: int


class Pool:
    """Analyses tasks in processes of their own.

    Args:
        command: starts a process, which calls `process.serve`.
        begin: the first message to each process; it goes by pipe because it holds secrets.
        processes: how many there are at most; each is started when it is first needed.
        limits: what one sample may cost.
        asking: the facets that ask a model.
    """

    def __init__(
        self,
        command: Sequence[str],
        begin: bytes,
        *,
        processes: int = 1,
        limits: Limits | None = None,
        asking: Mapping[Facet, Asking] | None = None,
    ) -> None:
        self._command = command
        self._begin = begin
        self._limits = limits or Limits()
        self._asking = asking or {}
        self._budgets = {facet: Budget(each.calls_per_hour) for facet, each in self._asking.items()}
        self._free: asyncio.LifoQueue[_Process | None] = asyncio.LifoQueue()
        for _ in range(processes):
            self._free.put_nowait(None)
        self._processes: set[_Process] = set()
        self._keep: Keep | None = None

    def remember(self, booked: Booked, keep: Keep) -> None:
        """Go on with what was booked before a restart.

        `keep` is told what is booked before a request is made; what it raises, `analyse` raises, and nobody is asked.
        """
        self._budgets = {facet: Budget(each.calls_per_hour, booked.get(facet)) for facet, each in self._asking.items()}
        self._keep = keep

    async def analyse(self, work: Work) -> Sample:
        """Analyse one facet of one task; waits for a process that is free.

        A task can't make this raise: what goes wrong with it is the sample's status and reason.

        Raises:
            AnalysisError: no process can be started, so nothing was tried; the same work may be given again.
        """
        if len(work.record) + sum(len(part.payload) for part in work.parts) > self._limits.input_bytes:
            return _failed(work, SampleReason.TOO_LARGE)
        asking = self._asking.get(work.facet)
        if asking is None:
            return await self._run(work, self._limits.seconds)
        budget, at = self._budgets[work.facet], time.time_ns()
        if budget.left(at) < asking.least:
            return Sample(work.facet, work.facet, SampleStatus.SHED, SampleReason.BUDGET)
        granted = budget.grant(asking.most, at)
        used = 0
        try:
            if self._keep is not None:
                await self._keep({facet: each.booked for facet, each in self._budgets.items()})
            sample = await self._run(msgspec.structs.replace(work, calls=granted), self._limits.model_seconds)
            used = granted if sample.reason in UNACCOUNTED else sample.calls
        finally:
            budget.give_back(granted - used, at)
        return sample

    async def stop(self) -> None:
        """End all processes; works that are under way are lost to their callers, who are to be cancelled first."""
        await asyncio.gather(*(process.end() for process in list(self._processes)))
        self._processes.clear()

    async def _run(self, work: Work, seconds: float) -> Sample:
        process = await self._free.get()
        try:
            if process is None or not process.alive:
                if process is not None:
                    await self._discard(process)
                    process = None
                process = await self._start()
            began = time.perf_counter()
            try:
                most = self._limits.sample_bytes + FRAME_BYTES
                answer = await asyncio.wait_for(process.ask(encode(Job(work, seconds)), most), seconds)
                sample = decode_sample(answer)
            except TimeoutError:
                reason = SampleReason.TIMED_OUT
            except _TooLongError:
                reason = SampleReason.TOO_LARGE
            except (EOFError, msgspec.DecodeError, UnicodeDecodeError):
                reason = SampleReason.CRASHED
            else:
                if sample.reason is SampleReason.OUT_OF_MEMORY:  # what it has left may not do for the next one
                    await self._discard(process)
                    process = None
                return sample
            log.warning("analyse: a process was ended", facet=work.facet, reason=reason)
            await self._discard(process)
            process = None
            return _failed(work, reason, time.perf_counter() - began)
        except asyncio.CancelledError:
            if process is not None:  # it is in the middle of a work that nobody waits for
                await self._discard(process)
                process = None
            raise
        finally:
            self._free.put_nowait(process)

    async def _start(self) -> _Process:
        process = _Process(
            await asyncio.create_subprocess_exec(
                *self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
            )
        )
        self._processes.add(process)
        try:
            await asyncio.wait_for(process.ask(self._begin, FRAME_BYTES), START_SECONDS)
        except (EOFError, TimeoutError, _TooLongError) as error:
            await self._discard(process)
            raise AnalysisError("a process that analyses can't be started: see the log for its last words") from error
        return process

    async def _discard(self, process: _Process) -> None:
        self._processes.discard(process)
        await process.end()


class _Process:
    """One process, as the pool sees it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @property
    def alive(self) -> bool:
        stdin = self._process.stdin
        return self._process.returncode is None and stdin is not None and not stdin.is_closing()

    async def ask(self, message: bytes, most: int) -> bytes:
        """Send a message and return the answer. Raises EOFError where there is none, _TooLongError above `most`."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        if stdin.is_closing():  # uvloop raises a RuntimeError where it is written to
            raise EOFError
        try:
            stdin.write(LENGTH.pack(len(message)) + message)
            await stdin.drain()
            (length,) = LENGTH.unpack(await stdout.readexactly(LENGTH.size))
            if length > most:
                raise _TooLongError
            return await stdout.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise EOFError from error

    async def end(self) -> None:
        """Kill it; harmless where it has ended."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()


class _TooLongError(Exception):
    """An answer is longer than is accepted."""


def _failed(work: Work, reason: SampleReason, seconds: float = 0.0) -> Sample:
    return Sample(work.facet, work.facet, SampleStatus.FAILED, reason, seconds=seconds)
