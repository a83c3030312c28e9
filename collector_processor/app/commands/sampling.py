"""The policies of deep samples before they are in force: what they would have kept of the records that are stored."""

from __future__ import annotations

import asyncio
from datetime import datetime

from collector_processor.app.commands.access import opened
from collector_processor.config import Settings
from collector_processor.model.sampling import Facet
from collector_processor.sample import (
    Policy,
    SamplingConfig,
    Simulated,
    Simulation,
)
from collector_processor.store import records
from collector_processor.store.database import Database

__all__ = ["Facet", "Policy", "SamplingConfig", "Simulated", "Simulation", "simulate"]


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
