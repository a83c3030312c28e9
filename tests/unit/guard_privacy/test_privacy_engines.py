# ruff: noqa: RUF001 - texts of other scripts
"""Both engines answer alike: the same expressions occur, whatever the bytes are."""

from __future__ import annotations

import importlib.util

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.privacy_corpus import negatives, positives

from collector_processor.guard.privacy import engines
from collector_processor.guard.privacy.engines import ENGINES, Engine, EngineError, Hyperscan, Re2, engine_named
from collector_processor.guard.privacy.matching import EXPRESSIONS, PATTERNS
from collector_processor.guard.privacy.pattern import compiled


@pytest.fixture(scope="module")
def both() -> tuple[Engine, Engine]:
    return Hyperscan(EXPRESSIONS), Re2(EXPRESSIONS)


@pytest.mark.parametrize("name", list(ENGINES))
def test_an_engine_says_which_occur(name: str) -> None:
    engine = engine_named(name, [rb"\bcat\b", rb"(?i)dog", rb"[0-9]{3,}"])
    assert engine.name == name
    assert engine.present(b"a cat, a DOG") == {0, 1}
    assert engine.present(b"concatenate 12\x003") == set()
    assert engine.present(b"") == set()
    assert engine.present(b"\xff\xfe 123 \x80") == {2}


def test_engines_agree_on_the_corpus(both: tuple[Engine, Engine]) -> None:
    for sample in [*positives(11, 600), *negatives(12, 300)]:
        data = sample.text.encode()
        assert both[0].present(data) == both[1].present(data), sample


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_engines_agree_on_anything(both: tuple[Engine, Engine], data: bytes) -> None:
    assert both[0].present(data) == both[1].present(data)


NEARLY = """a@b.co +491 4111 DE89 // :: user pass = : " ' \\u0040 %40 <NAME:k1: 1.2.3.4 eyJ -----BEGIN key sk- ghp_"""
PIECES = [
    *NEARLY.split(),
    "\x00",
    "\n",
    "電話",
    "：",
    " ",
    "PRIVATE KEY-----",
]


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_engines_agree_on_what_nearly_matches(both: tuple[Engine, Engine], text: str) -> None:
    assert both[0].present(text.encode()) == both[1].present(text.encode())


def test_the_engine_is_picked_by_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine_named("auto", [b"x"]).name == "hyperscan"
    real = importlib.util.find_spec
    monkeypatch.setattr(engines, "find_spec", lambda name: None if name == "hyperscan" else real(name))
    assert engine_named("auto", [b"x"]).name == "re2"


def test_an_unknown_engine_is_an_error() -> None:
    with pytest.raises(EngineError, match="no engine is called 'grep': it is one of auto, hyperscan, re2"):
        engine_named("grep", [b"x"])


class _Exhausted:
    """What a set of RE2 answers when its automaton ran out of memory: that nothing occurs."""

    def Match(self, data: bytes) -> None:  # noqa: N802 - RE2's name
        return None


def test_a_search_that_could_not_finish_is_an_error() -> None:
    engine = Re2([b"secret"])
    engine._set = _Exhausted()
    with pytest.raises(EngineError, match="could not search 9 bytes"):
        engine.present(b"my secret")


def test_no_pattern_reaches_into_the_next_text() -> None:
    engine = Re2([b"(?s:.)"])
    assert engine.present(b"\x00") == {0}
    for pattern in PATTERNS:
        matcher = compiled(pattern.expression)
        for sample in positives(5, 400):
            data = sample.text.encode()
            for match in matcher.finditer(b"\x00".join([data, data])):
                assert b"\x00" not in match.group(), pattern.name


def test_every_pattern_names_its_source_once() -> None:
    names = [pattern.name for pattern in PATTERNS]
    assert len(names) == len(set(names))
    assert all(pattern.source for pattern in PATTERNS)
