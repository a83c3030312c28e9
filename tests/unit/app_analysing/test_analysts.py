"""From settings to the pool of analysts."""

from __future__ import annotations

import asyncio

import pytest
from support.analysis import work_of

from collector_processor.app.analysing.pool import begin_of, pool_of
from collector_processor.config import load
from collector_processor.errors import ConfigError
from collector_processor.model.samples import SampleReason, SampleStatus
from collector_processor.model.sampling import Facet

JUDGE = {"JUDGE_URL": "http://127.0.0.1:9/v1", "JUDGE_MODEL": "judge-1", "JUDGE_KEY": "secret"}


def settings_of(**written: str):
    return load({f"COLLECTOR_PROCESSOR_{name}": value for name, value in written.items()}).settings


def test_nobody_is_asked_unless_an_endpoint_is_named():
    begin = begin_of(settings_of(), None)
    assert (begin.judge, begin.reflection) == (None, None)
    assert begin.rubric.startswith("# default-1")


def test_endpoints_are_as_the_settings_say():
    begin = begin_of(settings_of(**JUDGE, JUDGE_TIMEOUT="5s", JUDGE_MAX_BYTES="8KiB"), None)
    assert begin.judge is not None
    assert (begin.judge.url, begin.judge.model, begin.judge.key) == ("http://127.0.0.1:9/v1", "judge-1", "secret")
    assert (begin.judge.timeout, begin.judge.max_bytes, begin.reflection) == (5.0, 8192, None)


def test_a_rubric_of_ones_own(tmp_path):
    path = tmp_path / "rubric.md"
    path.write_text("# mine-3\n\nJudge.\n")
    assert begin_of(settings_of(JUDGE_RUBRIC=str(path)), None).rubric == "# mine-3\n\nJudge.\n"


@pytest.mark.parametrize("content", [b"", b" \n", b"\xff", b"x" * 70_000])
def test_a_rubric_that_is_none(tmp_path, content):
    path = tmp_path / "rubric.md"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="COLLECTOR_PROCESSOR_JUDGE_RUBRIC: "):
        begin_of(settings_of(JUDGE_RUBRIC=str(path)), None)


def test_the_hours_requests_are_counted_by_the_pool():
    async def run():
        pool = pool_of(settings_of(**JUDGE, JUDGE_VOTES="3", JUDGE_CALLS_PER_HOUR="2"), None)
        try:
            return await pool.analyse(work_of(facet=Facet.JUDGE))
        finally:
            await pool.stop()

    sample = asyncio.run(run())
    assert (sample.status, sample.reason) == (SampleStatus.SHED, SampleReason.BUDGET)
