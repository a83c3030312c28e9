"""The end of a processor: every step is taken, whatever becomes of those before."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from collector_processor.app.serve import Processor
from collector_processor.config import Address, Settings
from collector_processor.errors import StoreError
from collector_processor.journal.environment import Environment

ANY_PORT = Address("127.0.0.1", 0)
NO_DATABASE = "postgresql://nobody@127.0.0.1:1/none"


def test_a_step_that_fails_keeps_no_other_from_being_taken(tmp_path: Path) -> None:
    async def life() -> None:
        processor = Processor(
            Settings(
                data_dir=tmp_path, database_url=NO_DATABASE, otlp_grpc=ANY_PORT, otlp_http=ANY_PORT, admin=ANY_PORT
            )
        )
        await processor.start()

        async def fail() -> None:
            raise StoreError("it doesn't end")

        ending = processor.monitor.stop
        processor.monitor.stop = fail  # type: ignore[method-assign]  # a step in the middle
        try:
            await processor.stop()
        finally:
            await ending()
            for address in processor.listeners.addresses.values():
                host, _, port = address.rpartition(":")
                with pytest.raises(ConnectionRefusedError):
                    await asyncio.open_connection(host, int(port))

    with pytest.raises(StoreError, match="it doesn't end"):
        asyncio.run(life())
    with Environment(tmp_path / "journal", 1 << 20):
        pass  # the journal was closed: its lock is free
