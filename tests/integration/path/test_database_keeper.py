"""The embedded database in the hands of a processor that ends while it still starts."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psutil
from support.embedded import server_processes
from support.postgres import reachable_folder
from support.processor import wait_until

from collector_processor.app.database import DatabaseKeeper, embedded_directory
from collector_processor.config import Settings
from collector_processor.store.embedded.locks import FileLock


def opened(path: Path) -> int:
    """How often this process has a file open now."""
    return sum(file.path == str(path) for file in psutil.Process().open_files())


def test_a_server_whose_start_nobody_waits_for_any_more_is_stopped() -> None:
    with reachable_folder() as folder:
        settings = Settings(data_dir=folder / "data")
        settings.data_dir.mkdir(mode=0o711)
        directory = embedded_directory(settings)
        directory.mkdir(mode=0o711)
        transition = directory / "transition.lock"
        somebody_else = FileLock(transition)
        assert somebody_else.try_acquire()

        async def end_before_it_has_begun() -> None:
            keeper = DatabaseKeeper(settings)
            starting = asyncio.create_task(keeper.bring_up())
            await asyncio.to_thread(wait_until, lambda: opened(transition) == 2)
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            closing = asyncio.create_task(keeper.close())
            await asyncio.sleep(0)
            somebody_else.release()
            await closing

        asyncio.run(end_before_it_has_begun())
        assert (directory / "cluster" / "PG_VERSION").exists()
        assert server_processes(directory) == []
