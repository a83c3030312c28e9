"""Which spans are forwarded: consistent probability sampling, and tasks that are kept whatever the ratio. Pure.

As OpenTelemetry specifies it ("TraceState: Probability Sampling"), a span is kept where its randomness, 56 bits that
all spans of a trace share, is not below a rejection threshold. We are an equalizing downstream sampler: what comes out
has the larger of two thresholds, that of upstream (`ot=th:`) and our own, so adjusted counts stay true.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import Final, NamedTuple

from collector_processor.model.stages import Keep, Standing

DIGITS: Final = 14
"""Hex digits of 56 bits."""
NEVER: Final = 1 << 56
"""A threshold that no randomness reaches."""
PRECISION: Final = 4
"""Significant hex digits of a threshold that was made from a ratio, as the specification advises."""

_THRESHOLD: Final = re.compile(rf"[0-9a-fA-F]{{1,{DIGITS}}}")
_RANDOMNESS: Final = re.compile(rf"[0-9a-fA-F]{{{DIGITS}}}")


class Sampling(NamedTuple):
    """What a tracestate's `ot` entry says: the threshold applied so far, and explicit randomness, each if given."""

    threshold: int | None = None
    randomness: int | None = None

    @classmethod
    def of(cls, trace_state: str) -> Sampling:
        """Read a tracestate; what can't be read counts as not given."""
        for member in trace_state.split(",") if "ot=" in trace_state else ():
            key, _, value = member.strip().partition("=")
            if key == "ot":
                entries = dict(entry.partition(":")[::2] for entry in value.split(";"))
                threshold, randomness = entries.get("th", ""), entries.get("rv", "")
                return cls(
                    int(threshold.ljust(DIGITS, "0"), 16) if _THRESHOLD.fullmatch(threshold) else None,
                    int(randomness, 16) if _RANDOMNESS.fullmatch(randomness) else None,
                )
        return cls()

    def __str__(self) -> str:
        """The tracestate that says this and nothing else."""
        entries = []
        if self.threshold is not None:
            entries.append(f"th:{encode(self.threshold)}")
        if self.randomness is not None:
            entries.append(f"rv:{self.randomness:0{DIGITS}x}")
        return f"ot={';'.join(entries)}" if entries else ""


def encode(threshold: int) -> str:
    """A threshold as `th` writes it: hex digits without trailing zeros."""
    return f"{threshold:0{DIGITS}x}".rstrip("0") or "0"


def threshold_of(ratio: float, precision: int = PRECISION) -> int:
    """The rejection threshold that keeps a share of 0..1, rounded to so many significant hex digits."""
    if ratio <= 0:
        return NEVER
    exact = NEVER - round(Fraction(ratio) * NEVER)
    # Leading digits f tell small ratios apart by nothing, and leading zeros those near 1: they don't count.
    digits = min(DIGITS, precision + max(math.frexp(share)[1] // -4 for share in (ratio, 1 - ratio)))
    unit = 1 << 4 * (DIGITS - digits)
    return min((exact + unit // 2) // unit * unit, NEVER - 1)


class Selector:
    """Decides span by span; every span of a trace that has the same randomness is decided alike, whenever it comes.

    A task that `keep` names is a stratum of its own, kept with certainty: its spans' threshold stays what upstream
    applied. To write ours on those of them that ratio would have kept too would count them as more than they are.

    Args:
        ratio: share of 0..1 that is kept of the others.
        keep: what is kept always.
    """

    def __init__(self, ratio: float, keep: Keep) -> None:
        self._threshold = threshold_of(ratio)
        self._keep = keep

    def keeps(self, standing: Standing | None) -> bool:
        """Whether a task's spans are kept whatever the ratio."""
        keep = self._keep
        if standing is None:
            return False
        return (
            standing.outcome in keep.outcomes
            or standing.state in keep.states
            or (keep.score_below is not None and standing.score is not None and standing.score < keep.score_below)
        )

    def rules_out(self, trace_id: bytes, payload: bytes) -> bool:
        """Whether none of these spans can be kept, whatever becomes of their task: then nobody needs to hold them."""
        return self._keep == Keep() and _randomness(trace_id) < self._threshold and b"rv:" not in payload

    def sample(self, trace_id: bytes, trace_state: str, *, kept: bool) -> str | None:
        """The tracestate under which a span is forwarded; None where it is not.

        `kept` tells that its task is kept whatever the ratio. Of the tracestate only threshold and randomness stay:
        entries of other vendors serve propagation, which is over, and may hold any text.
        """
        upstream, explicit = Sampling.of(trace_state)
        randomness = _randomness(trace_id) if explicit is None else explicit
        # A span that its own threshold should have rejected: with which probability it came is not known.
        inconsistent = upstream is not None and randomness < upstream
        threshold = None if inconsistent else upstream
        if not kept:
            if randomness < self._threshold:
                return None
            if self._threshold and not inconsistent:
                threshold = max(threshold or 0, self._threshold)
        return str(Sampling(threshold, explicit))


def _randomness(trace_id: bytes) -> int:
    return int.from_bytes(trace_id[-7:], "big")
