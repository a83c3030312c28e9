"""Whatever bytes come in, they are read or refused in our own words: good inputs with some bytes changed, and any."""

from __future__ import annotations

import pytest
from fuzzing.targets import TARGETS
from hypothesis import given, settings
from hypothesis import strategies as st


@st.composite
def spoilt(draw, seeds):
    """A seed of which pieces were replaced."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        data[start : start + draw(st.integers(0, 40))] = draw(st.binary(max_size=40))
    return bytes(data)


@pytest.mark.parametrize("name", TARGETS)
def test_good_inputs_are_read(name):
    for seed in TARGETS[name].seeds:
        assert TARGETS[name].read(seed)


@pytest.mark.parametrize("name", TARGETS)
def test_spoilt_inputs_are_read_or_refused(name):
    @settings(max_examples=150)
    @given(spoilt(TARGETS[name].seeds) | st.binary(max_size=200))
    def run(data: bytes) -> None:
        TARGETS[name].run(data)

    run()
