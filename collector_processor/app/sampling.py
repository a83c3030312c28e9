"""The policies of deep samples as commands see them: the document in force, and what another one would have kept."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from collector_processor.app.access import opened
from collector_processor.config import Settings
from collector_processor.errors import ConfigError
from collector_processor.model.sampling import Facet
from collector_processor.sample import (
    Policy,
    SamplingConfig,
    Simulated,
    Simulation,
    default_document,
    read_document,
)
from collector_processor.store import records
from collector_processor.store.database import Database

__all__ = ["Document", "Facet", "Policy", "SamplingConfig", "Simulated", "Simulation", "document_of", "simulate"]


class Document(NamedTuple):
    """Policies as they were written, what they are called, and what was read of them."""

    text: str
    name: str
    config: SamplingConfig


def document_of(settings: Settings, file: Path | None = None) -> Document:
    """Read the policies of a file; without one those in force: the setting's, else the ones that come along.

    Raises ConfigError.
    """
    file = file or settings.sampling
    if file is None:
        text, name = default_document(), "the default policies"
    else:
        name = str(file)
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
            raise ConfigError(f"{name} can't be read: {reason}") from None
    return Document(text, name, read_document(text, name))


def simulate(settings: Settings, config: SamplingConfig, *, since: datetime) -> Simulation:
    """Let policies decide about the records that are stored from `since` on. Raises BenchmarkError."""

    async def work(url: str) -> Simulation:
        async with Database(url, application_name="otel-benchmark sampling") as database:
            simulation = Simulation(config, await records.sample_sizes(database, since=since))
            async for page in records.shown(database, since=since):
                simulation.add(page)
            return simulation

    with opened(settings) as url:
        return asyncio.run(work(url))
