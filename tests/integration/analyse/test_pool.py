"""The pool, with real processes that misbehave: each costs one sample, and the next one is made as if nothing was."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from functools import wraps
from pathlib import Path

import psutil
import pytest
from support.analysis import work_of
from support.lifecycle import task

from collector_processor.analyse.pool import Asking, Limits, Pool
from collector_processor.analyse.process import LENGTH, Job, encode
from collector_processor.errors import AnalysisError
from collector_processor.model.samples import Sample, SampleReason, SampleStatus
from collector_processor.model.sampling import Facet
from otel_benchmark import attributes as a

COMMAND = (sys.executable, str(Path(__file__).with_name("misbehaving.py")))


def in_loop(test):
    """Have a coroutine for a test."""

    @wraps(test)
    def run(*arguments, **named):
        asyncio.run(test(*arguments, **named))

    return run


@asynccontextmanager
async def pool(*, begin: bytes = b"{}", seconds: float = 30.0, processes: int = 1, asking=None, **limits):
    allowed = Limits(seconds=seconds, model_seconds=seconds, sample_bytes=10_000, **limits)
    pool = Pool(COMMAND, begin, processes=processes, limits=allowed, asking=asking)
    try:
        yield pool
    finally:
        await pool.stop()


def work(facet: Facet = Facet.CONVERSATION, wish: str = "0"):
    return work_of(task(attributes={a.TASK_DESCRIPTION: wish}), facet=facet)


def why(sample: Sample):
    return sample.status, sample.reason


def pid(sample: Sample) -> int:
    return int(json.loads(sample.content)["pid"])


@in_loop
async def test_a_process_makes_one_sample_after_the_other():
    async with pool() as analysts:
        samples = [await analysts.analyse(work()) for _ in range(3)]
        assert {why(sample) for sample in samples} == {(SampleStatus.COMPLETE, None)}
        assert len({pid(sample) for sample in samples}) == 1
    assert not psutil.pid_exists(pid(samples[0]))


@in_loop
async def test_several_processes_work_at_once():
    async with pool(processes=2) as analysts:
        samples = await asyncio.gather(*(analysts.analyse(work()) for _ in range(6)))
    assert len({pid(sample) for sample in samples}) == 2


@in_loop
async def test_an_endless_loop_is_ended_and_costs_one_sample():
    async with pool(seconds=3.0) as analysts:
        before = await analysts.analyse(work())
        assert why(await analysts.analyse(work(Facet.AST))) == (SampleStatus.FAILED, SampleReason.TIMED_OUT)
        after = await analysts.analyse(work())
    assert why(after) == (SampleStatus.COMPLETE, None)
    assert pid(after) != pid(before)


@in_loop
async def test_a_crash_costs_one_sample():
    async with pool() as analysts:
        assert why(await analysts.analyse(work(Facet.JUDGE))) == (SampleStatus.FAILED, SampleReason.CRASHED)
        assert why(await analysts.analyse(work())) == (SampleStatus.COMPLETE, None)


@pytest.mark.skipif(sys.platform != "linux", reason="no such limit here")
@in_loop
async def test_memory_has_a_limit():
    async with pool() as analysts:
        before = await analysts.analyse(work())
        assert why(await analysts.analyse(work(Facet.REFLECTION))) == (SampleStatus.FAILED, SampleReason.OUT_OF_MEMORY)
        after = await analysts.analyse(work())
    assert why(after) == (SampleStatus.COMPLETE, None)
    assert pid(after) != pid(before)


@pytest.mark.parametrize("wish", ["20000", "long"])
@in_loop
async def test_what_comes_out_has_a_limit(wish):
    async with pool() as analysts:
        assert why(await analysts.analyse(work(wish=wish))) == (SampleStatus.FAILED, SampleReason.TOO_LARGE)
        assert why(await analysts.analyse(work())) == (SampleStatus.COMPLETE, None)


@in_loop
async def test_what_goes_in_has_a_limit():
    async with pool(input_bytes=100) as analysts:
        assert why(await analysts.analyse(work())) == (SampleStatus.FAILED, SampleReason.TOO_LARGE)


@in_loop
async def test_a_process_that_does_not_start_is_no_fault_of_the_task():
    async with pool(begin=b"refuse") as analysts:
        for _ in range(2):
            with pytest.raises(AnalysisError):
                await analysts.analyse(work())


@in_loop
async def test_who_stops_waiting_ends_the_process():
    async with pool() as analysts:
        before = pid(await analysts.analyse(work()))
        waiting = asyncio.create_task(analysts.analyse(work(Facet.AST)))
        await asyncio.sleep(0.1)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert not psutil.pid_exists(before)
        assert why(await analysts.analyse(work())) == (SampleStatus.COMPLETE, None)


@in_loop
async def test_requests_to_a_model_are_granted_within_the_hours_budget():
    asking = {Facet.CONVERSATION: Asking(least=3, most=5, calls_per_hour=5), Facet.JUDGE: Asking(1, 4, 5)}
    async with pool(asking=asking) as analysts:
        first, again = [await analysts.analyse(work()) for _ in range(2)]  # neither of them uses a request
        assert [json.loads(sample.content)["calls"] for sample in (first, again)] == [5, 5]
        assert why(await analysts.analyse(work(Facet.JUDGE))) == (SampleStatus.FAILED, SampleReason.CRASHED)
        await analysts.analyse(work(Facet.JUDGE))  # nobody knows what one that dies has used: all that it was granted
        assert why(await analysts.analyse(work(Facet.JUDGE))) == (SampleStatus.SHED, SampleReason.BUDGET)


@pytest.mark.parametrize(("seconds", "gone", "end"), [(1.0, False, -signal.SIGALRM), (60.0, True, 0)])
def test_a_process_ends_itself_when_its_time_is_over_or_its_pool_is_gone(seconds, gone, end):
    """Nobody ends it, and its analyser never does."""
    with subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as left_alone:
        assert left_alone.stdin is not None
        for message in (b"impatient", encode(Job(work(Facet.AST), seconds))):
            left_alone.stdin.write(LENGTH.pack(len(message)) + message)
        left_alone.stdin.flush()
        if gone:
            left_alone.stdin.close()
        assert left_alone.wait(30) == end
