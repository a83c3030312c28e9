"""From work to sample: every text is cleaned, what can't be is withheld, and a fault costs one sample."""

from __future__ import annotations

import json

import pytest
from support.analysis import unclean, work_of
from support.lifecycle import execution, task

from collector_processor.analyse import Cleaned, Finding
from collector_processor.analyse.examine import examine
from collector_processor.model.samples import SampleReason, SampleStatus
from collector_processor.model.sampling import Facet
from otel_benchmark import attributes as a


class Analyser:
    """Finds what a test says."""

    facet = Facet.AST
    version = 7

    def __init__(self, content=None, error: BaseException | None = None, status=SampleStatus.COMPLETE, reason=None):
        self._finding = Finding(status, content or {}, reason, calls=2)
        self._error = error

    def analyse(self, material, clean):
        if self._error is not None:
            raise self._error
        return self._finding


def sample_of(analyser: Analyser, *spans, clean=unclean, max_bytes: int = 1000):
    return examine(work_of(*spans, facet=Facet.AST), {Facet.AST: analyser}, clean, max_bytes)


def test_a_sample_says_who_made_it_and_what_it_cost():
    sample = sample_of(Analyser({"n": 1, "share": 0.5, "none": None, "flag": True}))
    assert (sample.facet, sample.analyser, sample.status) == (Facet.AST, "ast/7", SampleStatus.COMPLETE)
    assert sample.calls == 2
    assert json.loads(sample.content) == {"n": 1, "share": 0.5, "none": None, "flag": True}
    assert sample.seconds > 0


def test_every_text_is_cleaned_but_our_own():
    seen = []

    def clean(texts, tenant):
        seen.extend(texts)
        return Cleaned([f"<{value}>" for _, value in texts], frozenset())

    content = {"name": "Ada", "deep": [{"text": ["x", "y"]}, ("z",)], "spanId": "4111111111111111", "n": 5}
    sample = sample_of(Analyser(content), clean=clean)
    assert json.loads(sample.content) == {
        "name": "<Ada>", "deep": [{"text": ["<x>", "<y>"]}, ["<z>"]], "spanId": "4111111111111111", "n": 5,
    }  # fmt: skip
    assert seen[:4] == [("name", "Ada"), ("text", "x"), ("text", "y"), ("deep", "z")]


def test_what_the_task_says_beside_it_is_searched_with_it():
    seen = []

    def clean(texts, tenant):
        seen.append(tenant)
        seen.extend(texts)
        return Cleaned([value for _, value in texts], frozenset())

    said = {a.TASK_DESCRIPTION: "My name is Ada.", a.TENANT_HASH: "9f" * 32}
    sample_of(Analyser({"name": "Ada"}), task(attributes=said), execution(attributes={a.DIFF_PATCH: "-x"}), clean=clean)
    assert seen[0] == "9f" * 32
    assert (a.TASK_DESCRIPTION, "My name is Ada.") in seen
    assert (a.DIFF_PATCH, "-x") not in seen


def test_what_was_withheld_is_a_gap():
    def clean(texts, tenant):
        return Cleaned(["<WITHHELD:too_deep>" for _ in texts], frozenset(range(len(texts))))

    sample = sample_of(Analyser({"text": "x", "more": "y"}), clean=clean)
    assert (sample.status, sample.reason) == (SampleStatus.PARTIAL, SampleReason.WITHHELD)
    assert sample.gaps == ("2 texts can't be searched for personal data and were withheld",)
    partial = Analyser({"text": "x"}, status=SampleStatus.PARTIAL, reason=SampleReason.HUNKS_ONLY)
    assert sample_of(partial, clean=clean).reason is SampleReason.HUNKS_ONLY


def test_nul_characters_are_left_out():
    assert json.loads(sample_of(Analyser({"text": "a\0b"})).content) == {"text": "ab"}


def test_what_is_too_large_is_not_stored():
    sample = sample_of(Analyser({"text": "x" * 2000}))
    assert (sample.status, sample.reason, sample.content) == (SampleStatus.FAILED, SampleReason.TOO_LARGE, b"{}")
    assert sample.gaps == ("2011 bytes, 1000 allowed",)


@pytest.mark.parametrize(
    ("error", "reason"),
    [(ValueError("secret words"), SampleReason.CRASHED), (MemoryError(), SampleReason.OUT_OF_MEMORY)],
)
def test_an_analyser_that_raises_costs_its_sample(error, reason):
    sample = sample_of(Analyser(error=error))
    assert (sample.status, sample.reason) == (SampleStatus.FAILED, reason)
    assert "secret" not in str(sample)


def test_a_privacy_pass_that_raises_lets_nothing_out():
    def clean(texts, tenant):
        raise RuntimeError

    sample = sample_of(Analyser({"text": "x"}), clean=clean)
    assert (sample.reason, sample.content) == (SampleReason.CRASHED, b"{}")


def test_a_facet_without_an_analyser_has_no_endpoint():
    sample = examine(work_of(facet=Facet.JUDGE), {}, unclean, 1000)
    assert (sample.status, sample.reason) == (SampleStatus.EMPTY, SampleReason.ENDPOINT_MISSING)
