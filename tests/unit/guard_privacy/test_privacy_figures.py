"""Recall and precision on the labelled corpus and on recorded agent runs; the figures are printed (`pytest -rP`)."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from support.privacy_corpus import CODE, Sample, negatives, positives
from support.privacy_corpus import CREDENTIALS as FORMS
from support.privacy_corpus import NATIONAL as NUMBERS
from support.privacy_measure import Figures, measured

from collector_processor.guard.privacy import Category, Detector, Redactor, Text
from collector_processor.guard.privacy.credentials import CREDENTIALS
from collector_processor.guard.privacy.national import NATIONAL

SHARED = Path(os.environ.get("OTEL_BENCHMARK_SHARED") or Path(__file__).parents[4] / "shared")
RUNS_FILE = SHARED / "data" / "tau-bench" / "gpt-4o-airline.json"
recorded = pytest.mark.skipif(
    not RUNS_FILE.is_file(), reason=f"{RUNS_FILE} is not here: OTEL_BENCHMARK_SHARED names the folder that holds data/"
)


@pytest.fixture(scope="module")
def corpus() -> list[Sample]:
    return [*positives(1, 4000), *negatives(2, 2000)]


@pytest.fixture(scope="module")
def figures(corpus: list[Sample], detectors: dict[str, Detector]) -> Figures:
    return measured(corpus, detectors["hyperscan"])


def test_recall(figures: Figures) -> None:
    print(figures.table())
    for category in set(Category) - {Category.ID}:
        assert figures.planted[category] >= 40, category
        assert figures.recall(category) >= 0.98, (category, figures.missed[:5])


def test_precision(figures: Figures) -> None:
    print(f"precision {figures.precision:.4f} over {figures.findings} findings")
    assert figures.precision >= 0.95, figures.wrong[:5]


def test_every_known_credential_format_is_planted_and_found(figures: Figures) -> None:
    assert set(FORMS) == {pattern.name for pattern in CREDENTIALS}
    for kind in FORMS:
        assert figures.kinds[kind] >= 4, kind
        assert figures.found_kinds[kind] / figures.kinds[kind] >= 0.98, kind


def test_every_national_number_is_planted_and_found(figures: Figures) -> None:
    assert {pattern.name for pattern in NATIONAL} == set(NUMBERS) - {"pl-pesel"}
    for kind in NUMBERS:
        assert figures.kinds[kind] >= 10, kind
        assert figures.found_kinds[kind] / figures.kinds[kind] >= 0.98, kind


def test_nothing_is_found_in_code_identities_and_numbers(detector: Detector) -> None:
    for sample in [*negatives(7, 2800), *(Sample(code, (), "code") for code in CODE)]:
        assert detector.scan([Text("", sample.text)]).findings == [], sample.text


def test_both_engines_find_the_same(corpus: list[Sample], detectors: dict[str, Detector]) -> None:
    texts = [Text("", sample.text) for sample in corpus[:1500]]
    first, second = (detectors[name].scan(texts) for name in ("hyperscan", "re2"))
    assert first == second


def test_nothing_that_was_planted_is_left(corpus: list[Sample], redactor: Redactor) -> None:
    for sample in corpus:
        (value,) = redactor.texts([Text("", sample.text)], "acme").values
        for planted in sample.planted:
            assert sample.text[planted.start : planted.end] not in value


# -- Recorded runs ---------------------------------------------------------------------------------


def runs() -> list[list[Text]]:
    """The texts of each run of tau-bench."""
    return [
        [Text("gen_ai.tool.call.result", message["content"]) for message in run["traj"] if message.get("content")]
        + [
            Text("gen_ai.tool.call.arguments", call["function"]["arguments"])
            for message in run["traj"]
            for call in message.get("tool_calls") or ()
        ]
        for run in json.loads(RUNS_FILE.read_text(encoding="utf-8"))
    ]


def personal(texts: Iterable[Text]) -> Counter[str]:
    """What the tools' documents say of persons, by the benchmark's own keys."""
    found: Counter[str] = Counter()

    def walk(value: Any, key: str) -> None:
        if isinstance(value, dict):
            for name, inner in value.items():
                walk(inner, name)
        elif isinstance(value, list):
            for inner in value:
                walk(inner, key)
        elif key in ("email", "user_id", "first_name", "last_name", "dob", "address1", "zip"):
            found[str(value)] += 1

    for text in texts:
        try:
            walk(json.loads(text.value), "")
        except json.JSONDecodeError:
            continue
    return found


@recorded
def test_recorded_runs_lose_their_persons(redactor: Redactor) -> None:
    planted = 0
    left = Counter[str]()
    for texts in runs():
        values = redactor.texts(texts, "airline").values
        after = "\n".join(values)
        for value, times in personal(texts).items():
            planted += times
            left[value] += len(re.findall(rf"(?<![\w<:]){re.escape(value)}(?!\w)", after)) if len(value) > 2 else 0
        for before, value in zip(texts, values, strict=True):
            if before.value.startswith(("{", "[")):
                json.loads(value)
    print(f"tau-bench: {planted} values under telling keys, {left.total()} occurrences left")
    assert planted > 2000
    assert +left == Counter()


@recorded
def test_recorded_runs_lose_nothing_else(redactor: Redactor, detectors: dict[str, Detector]) -> None:
    known = Counter[str]()
    for texts in runs():
        persons = " ".join(personal(texts))
        for finding in detectors["hyperscan"].scan(texts).findings:
            value = texts[finding.number].value[finding.start : finding.end]
            expected = all(word.lower() in persons.lower() for word in re.findall(r"[\w@.]+", value.strip(".")))
            known["right" if expected or finding.category in EXPLAINED else "wrong"] += 1
    print(f"tau-bench: {known['right']} findings explained, {known['wrong']} not")
    assert known["right"] / known.total() >= 0.95


EXPLAINED = {Category.BIRTH, Category.USER, Category.EMAIL, Category.ADDRESS}
"""Said by customers in words of their own, too: dates in letters, user ids that no tool ever saw."""
