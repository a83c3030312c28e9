"""What is called flat, what growing, and the charts of both."""

from __future__ import annotations

from collections.abc import Callable
from xml.etree import ElementTree as ET

import pytest
from soak.chart import charts
from soak.sampling import Sample
from soak.verdict import judge

FLAT = Sample(0.0, {"front": 60.0, "workers": 40.0, "others": 0.0, "postgres": 90.0}, 8.0, 30.0, 3.0, 0.2, 0, 0, 0.0)


def run(change: Callable[[float], dict[str, object]], seconds: int = 1800) -> list[Sample]:
    """Samples every five seconds, that differ from a flat run's as told of each moment."""
    return [
        FLAT._replace(at=float(at), received=100 * at, stored=99 * at, **change(at)) for at in range(5, seconds + 1, 5)
    ]


def wavy(at: float) -> float:
    return at % 20 / 20


@pytest.mark.parametrize(
    "change",
    [
        lambda _: {},
        lambda at: {"journal_live": 8.0 + 6 * wavy(at), "oldest_sealed": 3 * wavy(at)},
        lambda at: {"memory": FLAT.memory | {"front": 60.0 + min(at, 600) / 10}},  # until the warm-up's end
        lambda at: {"memory": FLAT.memory | {"postgres": 90.0 + at}},
        lambda at: {"memory": FLAT.memory | {"front": 60.0 + at / 1000}},
        lambda at: {"journal_live": 8.0 + 20 * wavy(at / 20)},
        lambda at: {"journal_file": 30.0 if at < 900 else 50.0},
    ],
    ids=["nothing changes", "waves", "warm-up", "buffers of PostgreSQL", "4 MiB an hour", "long waves", "a step"],
)
def test_a_run_that_could_go_on_is_flat(change):
    verdict = judge(run(change))
    assert verdict.judged
    assert verdict.problems == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda at: {"memory": FLAT.memory | {"front": 60.0 + at / 200}}, "front grows"),
        (lambda at: {"journal_live": 8.0 + at / 200}, "journal, live grows"),
        (lambda at: {"journal_file": 30.0 + at // 300 * 2}, "journal, file grows"),
        (lambda at: {"oldest_sealed": at / 300}, "oldest sealed batch grows"),
        (lambda at: {"oldest_open": 3.0 + at / 300}, "oldest open task grows"),
        (lambda at: {"behind": at / 300}, "sender behind grows"),
    ],
)
def test_what_grows_is_named(change, problem):
    assert judge(run(change)).problems == [problem]


def test_a_trend_is_told_by_the_hour():
    verdict = judge(run(lambda at: {"memory": FLAT.memory | {"front": 60.0 + at / 60}}))
    (front,) = [trend for trend in verdict.trends if trend.name == "front"]
    assert front.per_hour == pytest.approx(60)
    assert front.error == pytest.approx(0, abs=0.1)
    assert front.most == 90
    assert "GROWS" in str(front)
    assert "others" not in {trend.name for trend in verdict.trends}, "a part that never was isn't told"


def test_a_short_run_is_not_judged():
    assert not judge(run(lambda _: {}, seconds=60)).judged


def test_charts_are_a_document_with_a_line_for_each_series():
    root = ET.fromstring(charts(run(lambda at: {"journal_live": at}), "a <title>"))
    space = "{http://www.w3.org/2000/svg}"
    texts = [each.text for each in root.iter(f"{space}text")]
    assert "a <title>" in texts
    assert {"front", "workers", "postgres", "live", "file", "oldest sealed batch", "received", "stored"} <= {*texts}
    assert "others" not in texts
    lines = [each.attrib["points"].split() for each in root.iter(f"{space}polyline")]
    assert {len(points) for points in lines} == {360}
    heights = [float(point.split(",")[1]) for point in lines[3]]
    assert heights == sorted(heights, reverse=True), "what grows goes up"
