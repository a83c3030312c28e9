"""The end of a text that was cut within a value: the half is gone, and a second look changes nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector_processor.guard.endings import CUT_BYTES, KEPT_BYTES, without_half

FILL = "some words of an agent that go on and on, "


VALUES = {
    "token": ("{}", "gh" + "p_" + "a1B2c3D4e5F6" * 3),
    "quoted": ('{{"password": "{}"}}', "correct horse battery staple"),
    "card": ("card {}", "4539 5787 6362 1486"),
    "address": ("ask {}", "mia.li.of.the.long.name@corp.com"),
    "telephone": ("call {}", "+1 (415) 555 2671"),
}


@pytest.mark.parametrize("kind", VALUES)
def test_nothing_stays_of_a_value_that_the_cut_parted(kind: str) -> None:
    """Wherever the cut falls into it."""
    form, value = VALUES[kind]
    said = form.format(value)
    for shown in range(1, len(said)):
        before = (FILL * 60)[: KEPT_BYTES - shown - 1]
        kept = without_half(f"{before} {said} {FILL * 5}"[:2048])
        assert value in kept or value[:4] not in kept, shown
        assert kept.endswith("…")
        assert len(kept) > KEPT_BYTES - 100


def test_a_text_that_was_not_cut_stays() -> None:
    for text in ("", "short", "x" * (CUT_BYTES - 1), "ü" * (CUT_BYTES // 2)):
        assert without_half(text) is text


@given(st.text(min_size=600, max_size=3000))
def test_a_second_look_changes_nothing(text: str) -> None:
    once = without_half(text)
    assert without_half(once) == once
    assert len(once.encode()) < CUT_BYTES
