"""The range of every bounded number of a record: the gate numeric-bounds and the JSON Schema read this table.

No number of a record, bounded or not, reaches `BEYOND`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from collector_processor.model.facts import CawsScores, HistoricalPerformance, MinimalDiffMetrics, RubricScores
from collector_processor.model.record import Evaluation, Execution, Routing, Turn

BEYOND: Final = 10**13
"""What is counted or measured is smaller (ten TB, three centuries in ms), and numbers of payment cards are larger."""


class Range(NamedTuple):
    """Numbers from `low` to `high`, infinity included; with `above`, `low` itself is outside."""

    low: float = 0.0
    high: float = float("inf")
    above: bool = False

    def __str__(self) -> str:
        if self.high == float("inf"):
            return f"{'above' if self.above else 'at least'} {self.low:g}"
        return f"{self.low:g}..{self.high:g}"


_SCORE: Final = Range(0.0, 1.0)
_COUNT: Final = Range()

RANGES: Final[dict[type[msgspec.Struct], dict[str, Range]]] = {
    Routing: {"confidence": _SCORE},
    HistoricalPerformance: {"agent_success_rate": _SCORE, "agent_avg_quality": _SCORE},
    Execution: {
        "latency_ms": Range(above=True),
        "tokens_used": _COUNT,
        "input_tokens": _COUNT,
        "output_tokens": _COUNT,
        "thinking_tokens": _COUNT,
        "cached_tokens": _COUNT,
    },
    Evaluation: {"overall_score": _SCORE},
    RubricScores: dict.fromkeys(RubricScores.__struct_fields__, _SCORE),
    MinimalDiffMetrics: {
        "ast_similarity": _SCORE,
        "scaffolding_penalty": _SCORE,
        "reward_multiplier": Range(0.1, 1.0),
    },
    CawsScores: dict.fromkeys(CawsScores.__struct_fields__, _SCORE),
    Turn: dict.fromkeys(("information_gain", "format_correctness", "task_progress", "safety_score"), _SCORE),
}
"""Record type → field → range."""
