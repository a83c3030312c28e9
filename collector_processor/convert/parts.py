"""What several kinds of span say in the same words: failure, tenant, usage, turn scores."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from collector_processor.convert.decode import STATUS_ERROR, Span
from collector_processor.convert.values import Attributes
from collector_processor.model.facts import TurnFact, TurnScores
from collector_processor.model.times import to_text
from otel_benchmark import attributes as a


class Failure(NamedTuple):
    """How a span failed, where its status, `error.type` or an exception event says so."""

    failed: bool
    error_type: str | None
    reason: str | None


_NO_FAILURE: Final = Failure(failed=False, error_type=None, reason=None)


def failure_of(span: Span) -> Failure:
    """Tell how a span failed; the last exception speaks for those before it."""
    read = span.attributes
    status = span.message.status
    error_type = read.text(a.ERROR_TYPE)
    failed = status.code == STATUS_ERROR
    exceptions = span.events(a.EXCEPTION_EVENT)
    if not failed and not exceptions:
        return _NO_FAILURE if error_type is None else Failure(failed=False, error_type=error_type, reason=None)
    reason = None
    if exceptions:
        said = read.within(exceptions[-1].attributes)
        error_type = error_type or said.text(a.EXCEPTION_TYPE)
        reason = said.text(a.EXCEPTION_MESSAGE)
    return Failure(failed=True, error_type=error_type, reason=reason or read.clean("status.message", status.message))


def tenant_of(read: Attributes) -> str | None:
    """Return a span's tenant: its hash where the source hashed it, else as it was said."""
    return read.text(a.TENANT_HASH) or read.text(a.TENANT_ID)


def usage_of(read: Attributes, raw: bytes) -> dict[str, Any]:
    """Read tokens and cost, as keyword arguments of a fact."""
    cost = read.number(a.EXECUTION_COST_USD)
    if b"gen_ai.usage." not in raw:
        return {"cost_usd": cost}
    integer = read.integer
    input_tokens = integer(a.GEN_AI_USAGE_INPUT_TOKENS)
    output_tokens = integer(a.GEN_AI_USAGE_OUTPUT_TOKENS)
    write_tokens = integer(a.GEN_AI_USAGE_CACHE_WRITE_INPUT_TOKENS)
    return {
        "input_tokens": integer(a.FORMER_USAGE_INPUT_TOKENS) if input_tokens is None else input_tokens,
        "output_tokens": integer(a.FORMER_USAGE_OUTPUT_TOKENS) if output_tokens is None else output_tokens,
        "thinking_tokens": integer(a.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS),
        "cached_tokens": integer(a.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS),
        "cache_write_tokens": (
            integer(a.GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS) if write_tokens is None else write_tokens
        ),
        "cost_usd": cost,
    }


def turn_scores(read: Attributes) -> TurnScores:
    """Read what an evaluator gave one turn."""
    return TurnScores(
        read.integer(a.TURN_NUMBER),
        read.number(a.TURN_INFORMATION_GAIN),
        read.number(a.TURN_FORMAT_CORRECTNESS),
        read.number(a.TURN_TASK_PROGRESS),
        read.number(a.TURN_SAFETY_SCORE),
        read.number(a.TURN_REWARD),
    )


def turn_events(span: Span) -> tuple[TurnFact, ...]:
    """Read the turns without a tool, in the order of the span."""
    return tuple(
        [
            TurnFact(to_text(event.time_unix_nano or span.start), turn_scores(span.attributes.within(event.attributes)))
            for event in span.events(a.TURN_EVENT)
        ]
    )
