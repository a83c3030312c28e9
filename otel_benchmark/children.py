"""Children of multiprocessing under fork and forkserver: they end without `atexit`, and so without the SDK's flush.

Here they get one of multiprocessing's own finalizers. Under spawn, in subprocesses and after a bare `os.fork()` that
ends by `sys.exit()` (gunicorn's workers) the SDK's `atexit` runs. After `os._exit()` and a signal's default action
nothing runs.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol, cast
from weakref import WeakSet

from otel_benchmark.connections import import_what_sending_imports, renew_connections

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

FLUSH_S: Final = 10.0
"""How long a child's end may be held up by a receiver that is slow or away."""
_AFTER_ALL_OTHERS: Final = -100


class _Closable(Protocol):
    def shutdown(self) -> None: ...


_providers: WeakSet[_Closable] = WeakSet()
_ours: WeakSet[_Closable] = WeakSet()


def flush_children(provider: TracerProvider, ours: _Closable | None = None) -> None:
    """Shut a provider of the SDK down when a forked child of multiprocessing ends, which sends what is queued.

    Where gRPC is loaded, only the processor of `ours`: gRPC aborts or hangs a forked child that uses it, and the
    application's own exporter may be one of its.
    """
    import_what_sending_imports()
    if hasattr(provider, "shutdown"):
        _providers.add(cast("_Closable", provider))
    if ours is not None:
        _ours.add(ours)


def _after_fork() -> None:
    for provider in _providers:
        with suppress(Exception):  # an adapter of the application's own; its child must go on
            renew_connections(provider)
    # Without the module, which is not light to import, multiprocessing has not forked us.
    util = sys.modules.get("multiprocessing.util")
    if util is not None and _providers:
        # A child of multiprocessing forgets its parent's finalizers first, then calls this.
        util.register_after_fork(_providers, _finalize)


def _finalize(_: object) -> None:
    from multiprocessing.util import Finalize  # noqa: PLC0415 - see above

    Finalize(None, _flush, exitpriority=_AFTER_ALL_OTHERS)


def _flush() -> None:
    closing = _ours if "grpc" in sys.modules else _providers
    threads = [threading.Thread(target=each.shutdown, daemon=True) for each in closing]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(FLUSH_S)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
