"""Bodies that run in steps inside a lifecycle span: generators, async generators, returned coroutines and futures.

The drivers are native generators and coroutines, and pass send, throw, close and return values through unchanged.
The span is current while the driven body runs and never while its consumer does, so it is entered before each step
and left after it.
"""

from __future__ import annotations

import inspect
import sys
import weakref
from types import AsyncGeneratorType, CoroutineType, GeneratorType, coroutine
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Generator


class Active(Protocol):
    """What a driver needs of a span; `Untracked` is a call that got none."""

    def enter(self) -> None:
        """Make the span current."""

    def leave(self) -> None:
        """Make current what was before."""

    def close(self, result: Any = None, error: BaseException | None = None) -> None:
        """End the span, once."""


class Untracked:
    """Stands for the span of a call that is not recorded."""

    def enter(self) -> None:
        """Do nothing."""

    leave = enter

    def close(self, result: Any = None, error: BaseException | None = None) -> None:
        """Do nothing."""


def generator_function(start: Callable[..., tuple[Generator[Any, Any, Any], Active]]) -> Callable[..., Any]:
    """Return a generator function; `start` gives, at its first step, the body and a span that has been left."""

    def driver(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        body, active = start(*args, **kwargs)
        # GeneratorExit is thrown into the body like any other exception: whether it ends, returns or yields then
        # is what close() of this driver sees, as it would see it from the body itself.
        step: Callable[[Any], Any] = body.send
        argument: Any = None
        item: Any = None
        try:
            while True:
                active.enter()
                try:
                    item = step(argument)
                finally:
                    active.leave()
                    argument = None
                try:
                    argument = yield item
                    step = body.send
                except BaseException as error:  # noqa: BLE001 - all of them belong to the body
                    step, argument = body.throw, error
        except StopIteration as stop:
            active.close(item if stop.value is None else stop.value)
            return stop.value
        except BaseException as error:
            active.close(None, error)
            raise

    return driver


def async_generator_function(
    start: Callable[..., tuple[AsyncGenerator[Any, Any], Active]],
) -> Callable[..., AsyncGenerator[Any, Any]]:
    """Return an async generator function; `start` gives, at its first step, the body and a span that was left."""

    async def driver(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        body, active = start(*args, **kwargs)
        item: Any = None
        step = _first_step(body)
        try:
            while True:
                active.enter()
                try:
                    item = await step
                finally:
                    active.leave()
                try:
                    sent = yield item
                    step = body.asend(sent)
                except BaseException as error:  # noqa: BLE001 - all of them belong to the body
                    step = body.athrow(error)
        except StopAsyncIteration:
            active.close(item)
        except BaseException as error:
            active.close(None, error)
            raise

    return driver


def defer(result: Any, active: Active) -> Any:
    """Keep a span open until what a plain function returned has ended; return what the host gets instead.

    A coroutine, generator or async generator is driven by one of the same type. A future is handed on as it is.
    Whatever is never started closes its span when it is thrown away.
    """
    active.leave()
    driven: Any
    if isinstance(result, CoroutineType):
        driven = _drive_coroutine(result, active)
    elif isinstance(result, GeneratorType):
        function = generator_function(lambda: (result, active))
        awaitable = result.gi_code.co_flags & inspect.CO_ITERABLE_COROUTINE
        driven = (coroutine(function) if awaitable else function)()  # type: ignore[no-untyped-call]  # of Any
    elif isinstance(result, AsyncGeneratorType):
        driven = async_generator_function(lambda: (result, active))()
    else:
        try:
            result.add_done_callback(lambda future: _settle(future, active))
        except Exception:  # noqa: BLE001 - asyncio's raises where the loop is closed, another's whatever it likes
            active.close()
        return result
    driven.__name__, driven.__qualname__ = result.__name__, result.__qualname__
    weakref.finalize(driven, _discard, result, active)
    return driven


async def _drive_coroutine(body: Coroutine[Any, Any, Any], active: Active) -> Any:
    active.enter()
    try:
        result = await body
    except BaseException as error:
        active.close(None, error)
        raise
    active.close(result)
    return result


def _discard(body: Any, active: Active) -> None:
    # A body that was never started would warn of never having been awaited, as its driver has done already. One
    # that was is its driver's to close: at the interpreter's exit it may still be running in another thread.
    if isinstance(body, CoroutineType) and inspect.getcoroutinestate(body) == inspect.CORO_CREATED:
        body.close()
    active.close()


def _settle(future: Any, active: Active) -> None:
    error: BaseException | None = None
    result: Any = None
    try:
        # exception() would mark the error as retrieved, and asyncio would not tell the host of a lost one.
        lost = None if future.cancelled() else getattr(future, "_exception", None)
        if isinstance(lost, BaseException):
            error = lost
        else:
            result = future.result()
    except BaseException as raised:  # noqa: BLE001 - a cancellation, or the error of a future that hides it
        error = raised
    active.close(result, error)


def _first_step(body: AsyncGenerator[Any, Any]) -> Any:
    # The event loop learns of an async generator at its first step and closes all it knows at shutdown. It must
    # know the driver alone: closing both at once fails with "asynchronous generator is already running".
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, None)
    try:
        return body.asend(None)
    finally:
        sys.set_asyncgen_hooks(*hooks)
