"""What a worker is told first: where journal and database are, and the settings that it needs."""

from __future__ import annotations

from collections.abc import Callable

from collector_processor.app.database import DatabaseKeeper
from collector_processor.app.journalling.front import Front
from collector_processor.app.policies import document_of
from collector_processor.app.protocol import Begin
from collector_processor.app.storing.pipeline import fold_settings, gate_settings
from collector_processor.config import Settings
from collector_processor.model.stages import PrivacyKeys


def beginner(
    settings: Settings, keys: PrivacyKeys | None, front: Front, database: DatabaseKeeper
) -> Callable[[str], Begin]:
    """Makes the first message of a slot's worker, with the database as it is then. Raises ConfigError."""
    policies = document_of(settings).text

    def begin(slot: str) -> Begin:
        return Begin(
            name=f"otel-benchmark {front.identity} {slot}",
            journal=str(front.folder),
            database_url=database.url or "",
            tenant_key=settings.tenant_key,
            privacy_keys=keys,
            fold=fold_settings(settings),
            gates=gate_settings(settings),
            database_timeout=settings.database_timeout,
            patience=settings.worker_timeout + settings.database_timeout,
            policies=policies,
            judging=settings.judge_url is not None,
            log_level=settings.log_level,
            log_format=settings.log_format,
        )

    return begin
