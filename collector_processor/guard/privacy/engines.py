"""Which of many patterns occur in some bytes: one question, two engines, one answer.

Hyperscan (as Vectorscan, in the wheel `hyperscan`) is the usual engine; RE2 (`google-re2`) is there where no wheel of
the former is. Both run in linear time whatever the text. Where a pattern occurs is asked afterwards, of RE2 alone, so
the engines can't differ in it. Neither object may be shared by threads.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from hashlib import blake2b
from importlib.util import find_spec
from typing import Any, Final, Protocol

import re2  # type: ignore[import-untyped]  # no stubs that fit this wheel

from collector_processor.errors import BenchmarkError

MAX_MEMORY: Final = 256 << 20
"""Bytes that RE2's automaton may take before it starts over."""
_SENTINEL: Final = b"\x00~~sentinel~~"


class EngineError(BenchmarkError):
    """An engine is not there, or could not finish its search."""


class Engine(Protocol):
    """Finds which expressions occur."""

    name: str

    def present(self, data: bytes) -> set[int]:
        """Return the positions of the expressions that occur at least once in `data`; raise where it can't tell."""
        ...


class Kept(Protocol):
    """Where automata are kept, since compiling one takes half a second and reading it 0.2 ms."""

    def get(self, name: str) -> bytes | None:
        """Return what was put under a name, which is run unchecked; None: there is nothing that can be trusted."""
        ...

    def put(self, name: str, content: bytes) -> None:
        """Keep it, or don't."""
        ...


class Hyperscan:
    """Intel's automata, with SIMD."""

    name = "hyperscan"

    def __init__(self, expressions: Sequence[bytes], kept: Kept | None = None) -> None:
        name = blake2b(repr(list(expressions)).encode(), digest_size=16).hexdigest()
        content = None if kept is None else kept.get(name)
        database = None if content is None else _read(content)
        if database is None:
            database = _compile(expressions)
            if kept is not None:
                kept.put(name, _written(database))
        self._database: Any = database
        self._found: set[int] = set()

    def present(self, data: bytes) -> set[int]:
        """Return the positions of the expressions that occur in `data`."""
        found: set[int] = set()
        self._found = found
        self._database.scan(data, match_event_handler=self._matched)
        return found

    def _matched(self, number: int, _start: int, _end: int, _flags: int, _context: object) -> None:
        self._found.add(number)


def _compile(expressions: Sequence[bytes]) -> Any:
    import hyperscan  # noqa: PLC0415 - it has no wheel for some platforms

    database = hyperscan.Database()
    flags = [hyperscan.HS_FLAG_SINGLEMATCH] * len(expressions)
    database.compile(expressions=list(expressions), ids=list(range(len(expressions))), flags=flags)
    return database


def _written(database: Any) -> bytes:
    import hyperscan  # noqa: PLC0415 - as above

    return hyperscan.dumpb(database)


def _read(content: bytes) -> Any:
    """Return a database; None where it is another version's or platform's, or its checksum is wrong."""
    import hyperscan  # noqa: PLC0415 - as above

    with contextlib.suppress(hyperscan.error):
        database = hyperscan.loadb(content, hyperscan.HS_MODE_BLOCK)
        database.scratch = hyperscan.Scratch(database)
        return database
    return None


class Re2:
    """RE2's sets of expressions."""

    name = "re2"

    def __init__(self, expressions: Sequence[bytes], kept: Kept | None = None) -> None:  # noqa: ARG002 - can't be kept
        options = re2.Options()
        options.encoding = re2.Options.Encoding.LATIN1
        options.max_mem = MAX_MEMORY
        options.never_capture = True
        options.log_errors = False
        self._set: Any = re2.Set.SearchSet(options)
        for expression in expressions:
            self._set.Add(expression)
        self._last = self._set.Add(_SENTINEL)
        self._set.Compile()

    def present(self, data: bytes) -> set[int]:
        """Return the positions of the expressions that occur in `data`."""
        # A set that runs out of memory says that nothing occurs; what surely occurs tells that it finished.
        found: set[int] = set(self._set.Match(data + _SENTINEL) or ())
        if self._last not in found:
            raise EngineError(f"RE2 could not search {len(data)} bytes within {MAX_MEMORY} bytes of memory")
        found.discard(self._last)
        return found


ENGINES: Final[dict[str, type[Hyperscan | Re2]]] = {"hyperscan": Hyperscan, "re2": Re2}


def engine_named(name: str, expressions: Sequence[bytes], kept: Kept | None = None) -> Engine:
    """Return an engine for these expressions; `auto` takes the first that is installed."""
    if name == "auto":
        name = "hyperscan" if find_spec("hyperscan") else "re2"
    if name not in ENGINES:
        raise EngineError(f"no engine is called {name!r}: it is one of auto, {', '.join(ENGINES)}")
    try:
        return ENGINES[name](expressions, kept)
    except ImportError as error:
        raise EngineError(f"the engine {name} is not installed: {error}") from error
