"""Evaluations as OpenInference writes them: attributes of a span, `evaluations.0.evaluation.{name,score,label,…}`.

Followed: `spec/annotations.md` of Arize-ai/openinference and openinference-semantic-conventions 0.1.42. Feedback is of
the span that carries it, or of its trace; that of a span which had ended stands on a span of kind EVALUATOR that links
to it. Annotations are the same in other words. No range of scores is agreed on, so each is a criterion and none an
overall score. What is said of a whole session is of no one task, and left out.

OpenLLMetry has no names for evaluations (opentelemetry-semantic-conventions-ai 0.5.1): what it shows of one is the
event of the GenAI conventions.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from typing import Final, NamedTuple

from collector_processor.convert.decode import Span, has_feedback
from collector_processor.convert.values import MAX_ITEMS, Attributes
from collector_processor.model.facts import QualityGate
from otel_benchmark import attributes as a
from otel_benchmark.attributes import EvaluatorKind

_KINDS: Final = {"HUMAN": EvaluatorKind.HUMAN, "LLM": EvaluatorKind.MODEL, "CODE": EvaluatorKind.RULE}


class Feedback(NamedTuple):
    """One result, and who judged: a kind of evaluator where it is one, else as it was said."""

    gate: QualityGate
    kind: str | None


def feedback_of(span: Span) -> list[Feedback]:
    """Read what a span carries, in either terminology; what stands there twice is one."""
    if not has_feedback(span.raw):
        return []
    return list(dict.fromkeys(each for form in a.OPENINFERENCE_FEEDBACK for each in _listed(span.attributes, form)))


def is_carrier(span: Span) -> bool:
    """Whether a span is there to judge another one."""
    if a.OPENINFERENCE_EVALUATOR.encode() not in span.raw:
        return False
    kind = span.attributes.has(a.OPENINFERENCE_KIND)
    if kind is None or kind.string_value != a.OPENINFERENCE_EVALUATOR:
        return False
    return bool(span.events(a.GEN_AI_EVALUATION_EVENT) or feedback_of(span))


def _listed(read: Attributes, form: str) -> Iterator[Feedback]:
    prefixes = (form.format(number) for number in range(MAX_ITEMS))
    for prefix in takewhile(lambda prefix: read.has(f"{prefix}name") is not None, prefixes):
        gate = QualityGate(
            name=read.text(f"{prefix}name") or "",
            score=read.number(f"{prefix}score"),
            label=read.text(f"{prefix}label"),
            explanation=read.text(f"{prefix}explanation"),
        )
        kind = read.text(f"{prefix}annotator_kind")
        yield Feedback(gate, _KINDS.get(kind or "", kind))
