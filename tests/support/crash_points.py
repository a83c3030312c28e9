"""Named places of a processor at which a test has it killed by SIGKILL.

`support.crashing` puts a `sitecustomize` before the modules of the processor's processes, which calls `watch` there:
the named functions look whether a file asks for a death, and whoever finds it dies. The processor itself knows nothing
of this. Imports the standard library alone: it is imported before every one of these processes begins.
"""

from __future__ import annotations

import functools
import inspect
import os
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NamedTuple

FOLDER: Final = "CRASH_POINTS"
FRONT: Final = "front"
WORKER: Final = "worker"


class Point(NamedTuple):
    """Where one process dies: before it calls a function, or when that has returned.

    `matters` looks at the call's arguments, `fruitful` at what it returned.
    """

    process: str
    module: str
    function: str
    after: bool = False
    matters: Callable[..., object] = lambda *_, **__: True
    fruitful: Callable[[Any], object] = lambda _: True


POINTS: Final = {
    # A request's way into the journal.
    "before the commit of a request": Point(
        FRONT, "collector_processor.journal.transaction", "Transaction.append", after=True
    ),
    "between append and acknowledge": Point(FRONT, "collector_processor.app.journalling.accepting", "Accepting._index"),
    # From the journal into a batch.
    "before the commit of a seal": Point(
        FRONT, "collector_processor.journal.transaction", "Transaction.seal", after=True
    ),
    "between sealing and the worker": Point(FRONT, "collector_processor.app.serve", "Processor._sealed"),
    "before a key is destroyed": Point(
        FRONT, "collector_processor.journal.commit", "GroupCommit.destroy_unused_keys", matters=lambda self: self.epochs
    ),
    # A batch's way into the database.
    "before a batch is converted": Point(WORKER, "collector_processor.app.storing.pipeline", "Pipeline.prepare"),
    "between two statements of a batch": Point(WORKER, "collector_processor.store.writing", "insert_keys", after=True),
    "in COPY": Point(WORKER, "psycopg", "AsyncCopy.write_row", after=True),
    "between COPY and the end of the transaction": Point(WORKER, "collector_processor.store.postgres", "_close"),
    "between the transaction and the answer": Point(
        WORKER, "collector_processor.store.postgres", "PostgresStore.apply", after=True
    ),
    # Out of the journal.
    "between COPY and checkpoint": Point(
        FRONT, "collector_processor.app.journalling.completing", "Completing.complete"
    ),
    "before the commit of a checkpoint": Point(
        FRONT, "collector_processor.app.journalling.completing", "Completing._complete", after=True
    ),
    # Into the fallback, and back.
    "in a write to the fallback": Point(FRONT, "collector_processor.fallback.folder", "_write", after=True),
    "between the fallback and the journal": Point(
        FRONT, "collector_processor.fallback.folder", "Folder.append", after=True
    ),
    "between an import and its answer": Point(WORKER, "collector_processor.app.storing.fallback_work", "outcome"),
    "between an import and the journal": Point(FRONT, "collector_processor.app.storing.fallback", "Fallback.take_back"),
    # Once in a database's life.
    "in a migration": Point(
        FRONT,
        "collector_processor.store.migrations",
        "statement",
        matters=lambda name: name == "record_migration",
    ),
    "between two migrations": Point(
        FRONT, "collector_processor.store.migrations", "_take_step", after=True, fruitful=bool
    ),
}


def asked_for(folder: Path, name: str) -> Path:
    """The file that asks for a death at the point of this name."""
    return folder / name.replace(" ", "-")


# -- In the processor's processes ------------------------------------------------------------------


def watch() -> None:
    """Have the points of this process looked at."""
    if "collector_processor.app.storing.worker" in sys.orig_argv:
        process = WORKER
    elif sys.orig_argv[-2:] == ["collector_processor.cli", "serve"]:
        process = FRONT
    else:
        return
    folder = Path(os.environ[FOLDER])
    for name, point in POINTS.items():
        if point.process == process:
            try:
                _lay(point, asked_for(folder, name))
            except (AttributeError, ImportError) as error:
                # Of a `sitecustomize` that fails Python says a word and goes on, and nobody would ever die there.
                raise SystemExit(f"the point {name!r} isn't where it was: {error}") from error
    if process == FRONT:
        # What is stored while its task is being stored finds it when one looks again: not a minute later, in tests.
        import_module("collector_processor.app.storing.batch_queue").__dict__["JOIN_SECONDS"] = 1.0


def _lay(point: Point, asked: Path) -> None:
    holder: Any = import_module(point.module)
    *path, last = point.function.split(".")
    for part in path:
        holder = getattr(holder, part)
    original = getattr(holder, last)
    done = asked.with_suffix(".done")

    def die() -> None:
        try:
            asked.rename(done)  # one of several takes it
        except FileNotFoundError:
            return
        os.kill(os.getpid(), signal.SIGKILL)

    if inspect.iscoroutinefunction(original):

        @functools.wraps(original)
        async def passed(*arguments, **named):
            matters = point.matters(*arguments, **named)
            if matters and not point.after:
                die()
            result = await original(*arguments, **named)
            if matters and point.after and point.fruitful(result):
                die()
            return result
    else:

        @functools.wraps(original)
        def passed(*arguments, **named):
            matters = point.matters(*arguments, **named)
            if matters and not point.after:
                die()
            result = original(*arguments, **named)
            if matters and point.after and point.fruitful(result):
                die()
            return result

    setattr(holder, last, passed)
