"""The database as commands see it: opened for as long as one takes, asked, and left as it was.

With the embedded database and no processor running, the server is started for the command's own duration.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final, TypeVar

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from collector_processor.app.database import embedded_directory, lifetimes
from collector_processor.app.storing.pipeline import Pipeline, fold_settings, gate_settings
from collector_processor.config import EMBEDDED, Settings
from collector_processor.convert import unite
from collector_processor.errors import StoreError
from collector_processor.guard import Protector
from collector_processor.store import inspection, maintenance, migrations, querying, records
from collector_processor.store.database import Database
from collector_processor.store.embedded import EmbeddedServer, locate
from collector_processor.store.embedded.binaries import wheel_binaries
from collector_processor.store.inspection import DatabaseCheck
from collector_processor.store.maintenance import Retired
from collector_processor.store.quarantine import Decision, Quarantine, Quarantined, Selection
from collector_processor.store.querying import Answer
from collector_processor.train import Cleaned, CleanSettings, clean

__all__ = [
    "CleanSettings",
    "Cleaned",
    "Decision",
    "Quarantine",
    "Quarantined",
    "Selection",
    "check",
    "clean_records",
    "maintain",
    "migrate",
    "open_psql",
    "opened",
    "query",
    "review",
    "running_url",
]

T = TypeVar("T")

_READER: Final = "-c role=benchmark_reader -c default_transaction_read_only=on -c search_path=benchmark,public"


@contextmanager
def opened(settings: Settings) -> Iterator[str]:
    """The owner's URL of a database that answers as long as the block takes. Raises StoreError."""
    if settings.database_url != EMBEDDED:
        yield settings.database_url
        return
    with EmbeddedServer(embedded_directory(settings)) as server:
        yield server.url


def running_url(settings: Settings) -> str | None:
    """The owner's URL, password included; None where the embedded server doesn't run now."""
    if settings.database_url != EMBEDDED:
        return settings.database_url
    return locate(embedded_directory(settings))


def migrate(url: str, settings: Settings) -> list[str]:
    """Bring the schema to this program's; the names of what was applied. Raises StoreError."""
    return asyncio.run(migrations.migrate(url, lifetimes(settings)))


def maintain(url: str, settings: Settings) -> tuple[int, Retired]:
    """Settle statistics and retire what is too old; how many hours, and what is gone. Raises StoreError."""

    async def work() -> tuple[int, Retired]:
        settled = await maintenance.settle(url)
        return settled, await maintenance.retire(url, lifetimes(settings), datetime.now(UTC))

    return asyncio.run(work())


def check(url: str) -> DatabaseCheck:
    """What the database is and what it lacks. Raises StoreError."""
    return asyncio.run(inspection.check(url))


def query(url: str, text: str, *, timeout_seconds: float) -> Answer:
    """One statement, as the role that may only read the views. Raises StoreError."""
    return _ask(url, lambda database: querying.query(database, text, timeout_seconds=timeout_seconds))


def review(url: str, settings: Settings, decide: Callable[[Quarantine], Awaitable[T]]) -> T:
    """Ask or decide about records; corrected ones are folded and judged by `settings`. Raises StoreError."""
    pipeline = Pipeline(
        Protector(None, None),  # what is stored was redacted when it came, what a person adds is by `Decisions`
        fold_settings(settings),
        gate_settings(settings),
    )
    return _ask(url, lambda database: decide(Quarantine(database, pipeline.revise, unite)))


def clean_records(
    url: str,
    settings: CleanSettings,
    take: Callable[[int, Cleaned], None],
    *,
    since: datetime | None = None,
    task_type: str | None = None,
) -> None:
    """Read the records that exports take, clean them, and hand over page after page: how many were read, what is left.

    Raises StoreError, and what `take` raises.
    """

    async def read(database: Database) -> None:
        async for page in records.exportable(database, since=since, task_type=task_type):
            take(len(page), clean(page, settings))

    _ask(url, read)


def open_psql(url: str) -> int:
    """Hand the terminal to psql (the system's, else the embedded one), as the role that may only read.

    Returns psql's exit code. Raises EmbeddedServerError where there is neither.
    """
    program = shutil.which("psql") or str(wheel_binaries() / "psql")
    parameters = conninfo_to_dict(url)
    # Arguments are seen by everybody on the machine, the environment is not.
    secret = {"PGPASSWORD": str(parameters.pop("password"))} if "password" in parameters else {}
    parameters["options"] = f"{parameters.get('options') or ''} {_READER}".strip()
    # Ctrl-C cancels a query of psql and doesn't end this command. (SIG_IGN would be inherited, a handler isn't.)
    ours = signal.signal(signal.SIGINT, lambda _number, _frame: None)
    try:
        command = [program, make_conninfo("", **parameters)]
        return subprocess.run(command, env=os.environ | secret, check=False).returncode  # noqa: S603 - no shell
    finally:
        signal.signal(signal.SIGINT, ours)


def _ask(url: str, question: Callable[[Database], Awaitable[T]]) -> T:
    async def ask() -> T:
        async with Database(url, application_name="otel-benchmark command") as database:
            return await question(database)

    try:
        return asyncio.run(ask())
    except StoreError as error:
        # A database without our schema or roles refuses in words that say nothing about the way out.
        if not error.transient and (missing := check(url).missing):
            raise StoreError(f"the database lacks {missing[0]}") from error
        raise
