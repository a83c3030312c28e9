"""Lines of fallback files: what they hold comes back whole, and what was damaged is told from content."""

from __future__ import annotations

from uuid import UUID

import msgspec
import pytest
from support import facts

from collector_processor.errors import DamagedLineError
from collector_processor.fallback import Line, converted_of, decode, encode, line_of, lines, task_ids_of, tenants_of
from collector_processor.model.facts import Facts
from collector_processor.model.stages import Converted, LifecycleFact, SealedTask, SealKind, SpanKey, Stray

BATCH = UUID(int=7)
TRACE, SPAN = bytes(15) + b"\x01", bytes(7) + b"\x01"


def converted(*strays: Stray) -> Converted:
    whole = Facts(routings=(facts.routing(),), executions=(facts.execution(),))
    sealed = SealedTask(SealKind.ORPHAN if strays else SealKind.TASK, TRACE, SPAN, ())
    return Converted(sealed, None if strays else whole, strays, (), 5, "tenant-hash")


def stray(fact: LifecycleFact, number: int) -> Stray:
    key = SpanKey(TRACE, number.to_bytes(8, "big"))
    return Stray(key, SPAN, fact, "namespace", f"tenant-{number}", ())


def test_a_task_comes_back_as_it_went() -> None:
    raw = encode(line_of(BATCH, 3, converted()))
    assert raw.endswith(b"}\n")
    assert raw.count(b"\n") == 1
    line = decode(raw)
    assert (line.batch, line.place, line.spans) == (BATCH, 3, 5)
    assert converted_of(line) == converted()._replace(strays=[])


def test_every_kind_of_stray_comes_back_as_it_went() -> None:
    strays = [stray(make(), n) for n, make in enumerate((facts.routing, facts.execution, facts.tool_call), start=2)]
    line = decode(encode(line_of(BATCH, 0, converted(*strays))))
    assert list(converted_of(line).strays) == strays
    assert tenants_of(line) == {"tenant-hash", "tenant-2", "tenant-3", "tenant-4"}
    assert task_ids_of(line) == {"t-1"}


def test_every_flipped_bit_is_found() -> None:
    raw = encode(line_of(BATCH, 3, converted())).rstrip(b"\n")
    for at in range(len(raw)):
        damaged = bytearray(raw)
        damaged[at] ^= 1 << at % 8
        with pytest.raises(DamagedLineError):
            decode(bytes(damaged))


def test_every_torn_line_is_found() -> None:
    raw = encode(line_of(BATCH, 3, converted())).rstrip(b"\n")
    for length in range(len(raw)):
        with pytest.raises(DamagedLineError):
            decode(raw[:length])


def test_bytes_that_are_no_text_are_damage_also_under_a_sum_that_matches() -> None:
    """As a person's editor or a fuzzer makes it."""
    body = msgspec.json.encode(line_of(BATCH, 3, converted())).replace(TRACE.hex().encode(), b"\xff")
    raw = b"".join((lines._HEAD, lines._sum(body), lines._MIDDLE, body, lines._TAIL))
    with pytest.raises(DamagedLineError, match="it can't be read: 'utf-8' codec"):
        decode(raw)


def test_a_line_of_another_format_is_not_guessed_at() -> None:
    line = msgspec.structs.replace(line_of(BATCH, 3, converted()), format=2)
    with pytest.raises(DamagedLineError, match="format 2, this program reads 1"):
        decode(encode(line))


def test_a_line_that_names_no_user_names_nobody() -> None:
    nameless = Line(1, BATCH, 0, SealKind.TASK, TRACE.hex(), SPAN.hex(), 1, None, ())
    assert (tenants_of(nameless), task_ids_of(nameless)) == (set(), set())
