"""Source of a host's module that has a function of every kind, all of which return the span that is current."""

FUNCTIONS = """
import asyncio, types
from opentelemetry import trace

def current(): return trace.get_current_span().get_span_context().span_id

def function(task, *, flag=True):
    "Doc."
    return current()
async def coroutine(task, *, flag=True):
    "Doc."
    await asyncio.sleep(0)
    return current()
def generator(task, *, flag=True):
    "Doc."
    got = yield current()
    while got != "stop":
        got = yield got
    return "returned"
async def async_generator(task, *, flag=True):
    "Doc."
    got = yield current()
    while got != "stop":
        await asyncio.sleep(0)
        got = yield got
@types.coroutine
def old_coroutine(task, *, flag=True):
    "Doc."
    yield
    return current()
NAMES = ["function", "coroutine", "generator", "async_generator", "old_coroutine"]
ORIGINALS = {name: globals()[name] for name in NAMES}
"""
NAMES = ["function", "coroutine", "generator", "async_generator", "old_coroutine"]
