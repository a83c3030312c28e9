"""The analysts as the processor sees them: a pool of processes, made as the settings say."""

from __future__ import annotations

import sys
from importlib import resources
from pathlib import Path
from typing import Final

from collector_processor.analyse.endpoint import REQUESTS_PER_VOTE, RETRIES, Endpoint
from collector_processor.analyse.pool import Asking, Limits, Pool
from collector_processor.app.protocol import BeginAnalysis, encode
from collector_processor.config import PREFIX, Settings
from collector_processor.errors import ConfigError
from collector_processor.model.sampling import Facet
from collector_processor.model.stages import PrivacyKeys

COMMAND: Final = (sys.executable, "-m", "collector_processor.app.analysing.analyst")
MAX_RUBRIC_BYTES: Final = 64 * 1024


def pool_of(settings: Settings, privacy_keys: PrivacyKeys | None) -> Pool:
    """Make the pool; its processes are started when they are first needed.

    Raises:
        ConfigError: the rubric can't be read.
    """
    begin = begin_of(settings, privacy_keys)
    asking = {}
    if begin.judge is not None:
        most = settings.judge_votes * REQUESTS_PER_VOTE + RETRIES
        asking[Facet.JUDGE] = Asking(settings.judge_votes, most, settings.judge_calls_per_hour)
    if begin.reflection is not None:
        asking[Facet.REFLECTION] = Asking(1, 1 + RETRIES, settings.reflection_calls_per_hour)
    most = max((each.most for each in asking.values()), default=1)
    limits = Limits(
        seconds=settings.analysis_timeout,
        model_seconds=settings.analysis_timeout + most * settings.judge_timeout,
        sample_bytes=settings.analysis_max_bytes,
    )
    return Pool(COMMAND, encode(begin), processes=settings.analysts, limits=limits, asking=asking)


def begin_of(settings: Settings, privacy_keys: PrivacyKeys | None) -> BeginAnalysis:
    """All that an analyst needs to know. Raises ConfigError."""

    def endpoint(url: str | None, model: str | None, key: str | None) -> Endpoint | None:
        if url is None or model is None:
            return None
        return Endpoint(url, model, key, settings.judge_timeout, settings.judge_max_bytes)

    return BeginAnalysis(
        tenant_key=settings.tenant_key,
        privacy_keys=privacy_keys,
        judge=endpoint(settings.judge_url, settings.judge_model, settings.judge_key),
        rubric=_rubric(settings.judge_rubric),
        votes=settings.judge_votes,
        reflection=endpoint(settings.reflection_url, settings.reflection_model, settings.reflection_key),
        reflection_prompt=_shipped("reflection.md"),
        max_bytes=settings.analysis_max_bytes,
        memory_bytes=settings.analysis_memory,
        log_level=settings.log_level,
        log_format=settings.log_format,
    )


def _rubric(path: Path | None) -> str:
    if path is None:
        return _shipped("rubric.md")
    try:
        rubric = path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigError(f"{PREFIX}JUDGE_RUBRIC: {path} can't be read: {reason}") from error
    if not rubric.strip() or len(rubric.encode()) > MAX_RUBRIC_BYTES:
        raise ConfigError(f"{PREFIX}JUDGE_RUBRIC: {path} is empty or longer than {MAX_RUBRIC_BYTES} bytes")
    return rubric


def _shipped(name: str) -> str:
    return resources.files("collector_processor.analyse").joinpath(name).read_text(encoding="utf-8")
