"""Wrapped generators: their consumer never sees the span, and their end stays theirs."""

from __future__ import annotations

import asyncio
import gc

import pytest
from opentelemetry import trace
from support.functions import FUNCTIONS

from otel_benchmark import attributes as a

GENERATORS = """
from opentelemetry import trace
seen = []
def current(): return trace.get_current_span().get_span_context().span_id
def stubborn(task):
    try: yield 1
    except GeneratorExit: yield "no"
def careful(task):
    try:
        yield 1
    finally:
        seen.append(current())
def catching(task):
    while True:
        try:
            yield current()
        except ValueError as error:
            yield str(error)
def closing(task):
    try: yield 1
    except GeneratorExit: return "closed"
async def async_careful(task):
    try:
        yield 1
        yield 2
    finally:
        seen.append(current())
"""


def test_the_consumer_never_sees_the_generators_span(telemetry, host):
    module = host(FUNCTIONS, execute="generator")
    items = module.generator({})
    first = next(items)
    assert not trace.get_current_span().get_span_context().is_valid
    assert items.send("x") == "x"
    assert not trace.get_current_span().get_span_context().is_valid
    items.close()
    assert telemetry.one("invoke_agent").context.span_id == first


def test_the_consumer_never_sees_the_async_generators_span(telemetry, host):
    module = host(FUNCTIONS, execute="async_generator")

    async def consume() -> None:
        items = module.async_generator({})
        await items.__anext__()
        assert not trace.get_current_span().get_span_context().is_valid
        assert await items.asend("x") == "x"
        assert not trace.get_current_span().get_span_context().is_valid
        await items.aclose()

    asyncio.run(consume())
    assert len(telemetry.spans) == 1


def test_exceptions_are_thrown_into_the_body(telemetry, host):
    module = host(GENERATORS, execute="catching")
    contexts = []
    for items in (module.catching({}), module.catching.__wrapped__({})):
        next(items)
        assert items.throw(ValueError("in")) == "in"
        with pytest.raises(KeyError) as caught:
            items.throw(KeyError("out"))
        contexts.append(repr(caught.value.__context__))
    assert contexts[0] == contexts[1]
    assert telemetry.one("invoke_agent").attributes[a.ERROR_TYPE] == "KeyError"


def test_a_generator_that_ignores_its_end_is_the_hosts_error(telemetry, host):
    items = host(GENERATORS, execute="stubborn").stubborn({})
    next(items)
    with pytest.raises(RuntimeError, match="ignored GeneratorExit"):
        items.close()
    assert not telemetry.spans
    items.close()
    assert telemetry.names == ["invoke_agent"]


@pytest.mark.parametrize("end", ["close", "throw"])
def test_a_generator_may_answer_its_end(telemetry, host, end):
    module = host(GENERATORS, execute="closing")
    items, original = module.closing({}), module.closing.__wrapped__({})
    outcomes = []
    for each in (items, original):
        next(each)
        try:
            outcomes.append(each.close() if end == "close" else each.throw(GeneratorExit()))
        except StopIteration as stopped:
            outcomes.append(("stopped", stopped.value))
    assert outcomes[0] == outcomes[1]


def test_an_abandoned_generator_is_finished_and_its_span_ended(telemetry, host):
    module = host(GENERATORS, execute="careful")
    items = module.careful({})
    next(items)
    del items
    gc.collect()
    assert module.seen == [telemetry.one("invoke_agent").context.span_id]


def test_an_abandoned_async_generator_is_finished_by_its_loop(telemetry, host, recwarn):
    module = host(GENERATORS, execute="async_careful")
    problems = []

    async def consume() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, problem: problems.append(problem))
        async for _ in module.async_careful({}):
            break
        gc.collect()
        await asyncio.sleep(0.01)

    asyncio.run(consume())
    assert module.seen == [telemetry.one("invoke_agent").context.span_id]
    assert not problems


def test_an_async_generator_left_to_the_loops_shutdown_is_closed_once(telemetry, host):
    module = host(GENERATORS, execute="async_careful")
    problems, kept = [], []

    async def consume() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, problem: problems.append(problem))
        items = module.async_careful({})
        kept.append(items)
        await items.__anext__()

    asyncio.run(consume())
    assert module.seen == [telemetry.one("invoke_agent").context.span_id]
    assert not problems


def test_an_async_generator_may_be_stepped_by_two_tasks(telemetry, host):
    module = host(FUNCTIONS, execute="async_generator")

    async def consume() -> None:
        items = module.async_generator({})

        async def step(value: str | None) -> object:
            return await items.asend(value)

        await asyncio.create_task(step(None))
        assert await asyncio.create_task(step("two")) == "two"
        await items.aclose()

    asyncio.run(consume())
    assert len(telemetry.spans) == 1


def test_cancellation_inside_a_step_reaches_the_body(telemetry, host):
    module = host(
        """
        import asyncio
        ended = []
        async def stream(task):
            try:
                yield 1
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise
        """,
        execute="stream",
    )

    async def consume() -> None:
        async def body() -> None:
            async for _ in module.stream({}):
                pass

        task = asyncio.create_task(body())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(consume())
    assert module.ended == ["cancelled"]
    assert telemetry.one("invoke_agent").attributes[a.ERROR_TYPE] == "asyncio.exceptions.CancelledError"


def test_a_generators_outcome_is_its_return_value_or_its_last_item(telemetry, host):
    module = host(
        """
        def returning(task):
            yield {"success": False}
            return {"success": True}
        def yielding(task):
            yield {"success": False}
            yield {"success": True, "cost_usd": 0.5}
        """,
        execute="returning",
        tool="yielding",
    )
    assert list(module.returning({})) == [{"success": False}]
    list(module.yielding({}))
    assert telemetry.attributes("invoke_agent")[a.EXECUTION_SUCCESS] is True
    assert telemetry.attributes("execute_tool")[a.TOOL_SUCCESS] is True
