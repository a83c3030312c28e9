"""How often the database may be asked about itself: the longer its answers take, the more seldom.

A large one reads millions of rows for an answer. Neither we nor somebody who watches the status shall keep it busy.
"""

from __future__ import annotations

from typing import Final

WATCH_REST: Final = 50
"""Unasked, it rests for so many times as long as its last answer took."""
QUESTION_REST: Final = 10
"""Asked for by somebody, for so many times, …"""
LONGEST_REST: Final = 15.0
"""… but no more seconds than this, …"""
PROMPT_SECONDS: Final = 0.5
"""… and not at all where it answers within this."""


class Pace:
    """Knows the last answer. Times are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._ended = self._took = 0.0

    def answered(self, now: float, took: float) -> None:
        """It has answered, and `took` is what the answer cost it: not how long a connection was waited for."""
        self._ended, self._took = now, took

    def given_up(self, now: float) -> None:
        """Nobody waited for its answer any longer: it rests as after the last one."""
        self._ended = now

    def may_watch(self, now: float) -> bool:
        """Whether it may be asked unasked."""
        return now - self._ended >= self._took * WATCH_REST

    def may_question(self, now: float) -> bool:
        """Whether it may be asked because somebody asks."""
        return self._took < PROMPT_SECONDS or now - self._ended >= min(self._took * QUESTION_REST, LONGEST_REST)
