"""A batch where one task can't be redacted: that one is refused, and nothing is said of what it holds."""

from __future__ import annotations

import uuid

import pytest
from support.lifecycle import execution, route, sealed, task

from collector_processor.app.storing.pipeline import Pipeline, fold_settings
from collector_processor.config import PREFIX, load
from collector_processor.convert import FoldSettings
from collector_processor.guard import GateSettings, Protector
from collector_processor.guard.privacy import Detector, Keyring, Redactor
from otel_benchmark import attributes as a

RING = Keyring({"k1": b"pseudonyms of sixteen bytes"}, "k1")
MAIL = "mia.li@corp.com"


def raw(description: str):
    return sealed(task(attributes={a.TASK_DESCRIPTION: description}), route(), execution())


def test_a_task_whose_redaction_fails_is_refused_in_our_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    redacted = Redactor.texts

    def failing(self: Redactor, texts, *more):
        if any("poison" in text.value for text in texts):
            raise ValueError(f"can't do {texts!r}")
        return redacted(self, texts, *more)

    monkeypatch.setattr(Redactor, "texts", failing)
    pipeline = Pipeline(Protector(None, RING), FoldSettings(), GateSettings())
    prepared = pipeline.prepare(uuid.uuid4(), [raw(MAIL), raw(f"poison {MAIL}"), raw("fine")])
    assert len(prepared.tasks) == 2
    (refused,) = prepared.refused
    assert refused.error == "conversion: ValueError"
    assert refused.spans == 3
    assert MAIL not in repr(prepared)


def test_a_text_in_which_detection_fails_is_withheld_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    inspect = Detector.inspect

    def failing(self: Detector, texts, *more):
        if any("poison" in text.value for text in texts):
            raise RuntimeError(f"can't do {texts!r}")
        return inspect(self, texts, *more)

    monkeypatch.setattr(Detector, "inspect", failing)
    pipeline = Pipeline(Protector(None, RING), FoldSettings(), GateSettings())
    (converted,) = pipeline.prepare(uuid.uuid4(), [raw(f"poison {MAIL}")]).tasks
    assert converted.facts is not None
    assert converted.facts.task is not None
    assert converted.facts.task.description == "<WITHHELD:failed>"
    assert converted.facts.task.task_id == "task-1"
    assert pipeline.take_account().withheld == {"failed": 1}


def test_records_are_folded_by_the_operators_settings() -> None:
    environ = {f"{PREFIX}EVALUATOR": "rubric", f"{PREFIX}UNSAMPLED": "arbiter,shop/router"}
    assert fold_settings(load(environ).settings) == FoldSettings("rubric", frozenset({"arbiter", "shop/router"}))
