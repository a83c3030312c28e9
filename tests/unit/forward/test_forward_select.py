"""Consistent probability sampling as OpenTelemetry specifies it, with its examples, and what is kept in any case."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector_processor.forward.select import NEVER, Sampling, Selector, encode, threshold_of
from collector_processor.model.stages import Keep, Standing

TRACE = bytes.fromhex("4bf92f3577b34da6a3ce929d0e0e4736")
R = 0xCE929D0E0E4736
"""The trace's own randomness: its last 7 bytes."""
BITS = st.integers(0, NEVER - 1)
NOTHING = Keep()


def standing(*, state: str = "accepted", outcome: str | None = "success", score: float | None = 0.9) -> Standing:
    return Standing(None, state, True, outcome, score, (), True)


# The specification's table of 1-in-N sampling, with 3, 4 and 5 digits of precision.
@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (1, ("0", "0", "0")),
        (2, ("8", "8", "8")),
        (3, ("aab", "aaab", "aaaab")),
        (4, ("c", "c", "c")),
        (5, ("ccd", "cccd", "ccccd")),
        (8, ("e", "e", "e")),
        (10, ("e66", "e666", "e6666")),
        (16, ("f", "f", "f")),
        (100, ("fd71", "fd70a", "fd70a4")),
        (1000, ("ffbe7", "ffbe77", "ffbe76d")),
        (10_000, ("fff972", "fff9724", "fff97247")),
        (100_000, ("ffff584", "ffff583a", "ffff583a5")),
        (1_000_000, ("ffffef4", "ffffef39", "ffffef391")),
    ],
)
def test_thresholds_of_the_specification(n, expected):
    assert tuple(encode(threshold_of(1 / n, precision)) for precision in (3, 4, 5)) == expected


@given(st.floats(2**-40, 1))
def test_a_ratio_is_kept_to_four_digits(ratio):
    """Be it small or near 1: neither the share that is kept nor the one that is rejected is rounded to nothing."""
    threshold = threshold_of(ratio)
    assert (NEVER - threshold) / NEVER == pytest.approx(ratio, rel=2**-11)
    assert threshold / NEVER == pytest.approx(1 - ratio, rel=2**-11, abs=2**-53)


def test_nothing_is_kept_by_a_ratio_of_zero():
    assert Selector(0, NOTHING).sample(b"\xff" * 16, "", kept=False) is None


@given(BITS, st.none() | BITS)
def test_what_is_written_is_read_again(threshold, randomness):
    written = Sampling(threshold, randomness)
    assert Sampling.of(str(written)) == written


@pytest.mark.parametrize(
    ("trace_state", "expected"),
    [
        ("ot=th:0", Sampling(0)),
        ("ot=th:fd70a4", Sampling(0xFD70A400000000)),
        ("vendor=1,ot=th:c;rv:9b8233f7e3a151", Sampling(0xC0000000000000, 0x9B8233F7E3A151)),
        ("vendor=ot=th:c", Sampling()),
        (" ot=p:8;rv:9b8233f7e3a151 , other=x", Sampling(None, 0x9B8233F7E3A151)),
        ("ot=th:C", Sampling(0xC0000000000000)),
        ("ot=th:;rv:123", Sampling()),
        ("ot=th:123456789abcdef", Sampling()),
        ("ot=th:xyz", Sampling()),
        ("", Sampling()),
        ("ot", Sampling()),
    ],
)
def test_tracestates(trace_state, expected):
    assert Sampling.of(trace_state) == expected


def test_the_larger_threshold_is_written():
    half = Selector(0.5, NOTHING)
    assert half.sample(TRACE, "", kept=False) == "ot=th:8"
    assert half.sample(TRACE, "ot=th:4", kept=False) == "ot=th:8"
    assert half.sample(TRACE, "ot=th:c", kept=False) == "ot=th:c"
    assert half.sample(bytes(16), "", kept=False) is None
    assert Selector(0.1, NOTHING).sample(TRACE, "ot=th:c", kept=False) is None


def test_explicit_randomness_counts_and_stays_as_it_is():
    half = Selector(0.5, NOTHING)
    assert half.sample(bytes(16), "ot=rv:9b8233f7e3a151", kept=False) == "ot=th:8;rv:9b8233f7e3a151"
    assert half.sample(b"\xff" * 16, "ot=rv:00000000000001;th:0", kept=False) is None


def test_entries_of_others_stay_here():
    assert Selector(1, NOTHING).sample(TRACE, "vendor=jo@example.org,ot=th:4;x:secret", kept=False) == "ot=th:4"
    assert Selector(1, NOTHING).sample(TRACE, "vendor=1", kept=False) == ""


def test_an_inconsistent_threshold_is_erased():
    """Its own threshold should have rejected it: how probable it was is not known, before and after us."""
    below = f"ot=th:{encode(R + 1)}"
    assert Selector(1, NOTHING).sample(TRACE, below, kept=False) == ""
    assert Selector(0.5, NOTHING).sample(TRACE, below, kept=False) == ""
    assert Selector(0.5, NOTHING).sample(TRACE, f"ot=th:{encode(R)}", kept=False) == f"ot=th:{encode(R)}"


def test_a_stratum_keeps_the_threshold_of_upstream():
    rarely = Selector(0.001, NOTHING)
    assert rarely.sample(TRACE, "ot=th:4", kept=True) == "ot=th:4"
    assert rarely.sample(TRACE, "", kept=True) == ""
    certain = b"\xff" * 16
    assert rarely.sample(certain, "ot=th:4", kept=True) == "ot=th:4", "also where the ratio would have kept it"


@given(st.binary(min_size=16, max_size=16), st.none() | BITS, st.none() | BITS, st.floats(0, 1), st.floats(0, 1))
def test_decisions_are_consistent(trace_id, upstream, randomness, one, other):
    """Who is kept at a ratio is kept at any larger one, and no threshold is ever lowered."""
    small, large = sorted((one, other))
    trace_state = str(Sampling(upstream, randomness))
    kept = Selector(small, NOTHING).sample(trace_id, trace_state, kept=False)
    if kept is None:
        return
    assert Selector(large, NOTHING).sample(trace_id, trace_state, kept=False) is not None
    r = int.from_bytes(trace_id[-7:], "big") if randomness is None else randomness
    after = Sampling.of(kept)
    assert after.randomness == randomness
    assert r >= threshold_of(small)
    if after.threshold is not None:
        assert r >= after.threshold >= (upstream or 0)


@given(st.lists(st.binary(min_size=16, max_size=16), max_size=20), st.floats(0, 1))
def test_what_is_ruled_out_would_not_be_kept(trace_ids, ratio):
    selector = Selector(ratio, NOTHING)
    for trace_id in trace_ids:
        if selector.rules_out(trace_id, b"payload"):
            assert selector.sample(trace_id, "ot=th:0", kept=False) is None


def test_nothing_is_ruled_out_that_may_yet_be_kept():
    assert Selector(0.1, NOTHING).rules_out(bytes(16), b"")
    assert not Selector(0.1, NOTHING).rules_out(bytes(16), b"ot=rv:ffffffffffffff")
    assert not Selector(0.1, Keep(outcomes=("failure",))).rules_out(bytes(16), b"")


def test_what_is_kept_in_any_case():
    selector = Selector(0, Keep(("failure",), ("quarantined",), 0.5))
    assert selector.keeps(standing(outcome="failure"))
    assert selector.keeps(standing(state="quarantined"))
    assert selector.keeps(standing(score=0.49))
    assert not selector.keeps(standing(score=0.5))
    assert not selector.keeps(standing(outcome=None, score=None))
    assert not selector.keeps(None)
    assert not Selector(0, NOTHING).keeps(standing(outcome="failure", state="quarantined", score=0.0))
