"""The table of texts: every text of the vocabulary is searched, and each has been decided about by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import msgspec
import pytest
from support.facts import evaluation, execution, routing, tool_call, whole

from collector_processor.guard.texts import NAMES, NO_TEXTS, gather, plan_of, replace, said_in
from collector_processor.model import facts as vocabulary
from collector_processor.model.facts import Anomaly, Correction, Facts, Problem, QualityGate

CORRECTION = Correction("f" * 48, "2026-11-22T12:00:00.000000000Z", "ada", "wrong", ({"op": "test", "value": 1},))


def types_below(type_: Any) -> Iterator[type[msgspec.Struct]]:
    """Every struct that a type is made of, itself included."""
    if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
        yield type_
        for hint in get_type_hints(type_).values():
            yield from types_below(hint)
    else:
        for part in get_args(type_):
            yield from types_below(part)


TYPES = sorted(set(types_below(Facts)), key=lambda each: each.__name__)


def fields_with_text(type_: type[msgspec.Struct]) -> set[str]:
    def holds_text(hint: Any) -> bool:
        return hint in (str, Any) or any(map(holds_text, get_args(hint)))

    return {field for field, hint in get_type_hints(type_).items() if holds_text(hint)} & {*type_.__struct_fields__}


@pytest.mark.parametrize("type_", TYPES)
def test_every_field_that_may_hold_text_is_decided_about(type_: type[msgspec.Struct]) -> None:
    """Name the attribute that says a new field, or say that no application writes it."""
    named = {field for each in type_.__mro__ for field in NAMES.get(each, {})}
    exempt = {field for each in type_.__mro__ for field in NO_TEXTS.get(each, ())}
    assert fields_with_text(type_) == named | exempt & {*type_.__struct_fields__}
    assert not named & exempt


def test_the_tables_name_nothing_else() -> None:
    assert {*NAMES, *NO_TEXTS} <= {*TYPES, vocabulary.Fact}


class Newcomer(vocabulary.Wire, frozen=True):
    """A type that nobody has decided about."""

    word: str
    words: tuple[str, ...]
    gate: QualityGate | None
    number: int = 0


def test_a_new_field_is_searched_before_anybody_names_it() -> None:
    plan = plan_of(Newcomer)
    struct = Newcomer("one", ("two", "three"), QualityGate("four", label="five"))
    texts: list[tuple[str, str]] = []
    plan.gather(struct, texts)
    assert [value for _, value in texts] == ["one", "two", "three", "four", "five"]
    assert [key for key, _ in texts][:3] == ["word", "words", "words"]
    replaced = plan.replace(struct, iter(["1", "2", "3", "4", "5"]))
    assert replaced == Newcomer("1", ("2", "3"), QualityGate("4", label="5"))


def everything() -> Facts:
    return msgspec.structs.replace(
        whole(),
        routings=(routing(rationale="it fits"),),
        executions=(execution(failure_reason="it broke"),),
        tool_calls=(tool_call(),),
        evaluations=(evaluation(quality_gates=(QualityGate("tests", explanation="all green"),)),),
        corrections=(CORRECTION,),
        anomalies=(Anomaly("ab" * 8, "arbiter.task.reward", Problem.NOT_FINITE, "nan"),),
    )


def test_what_was_gathered_is_what_is_replaced() -> None:
    gathered = gather(everything())
    assert said_in(everything()) == gathered.texts
    values = [text.value for text in gathered.texts]
    assert {"it fits", "it broke", "tests", "all green", "nan", "wrong", '[{"op":"test","value":1}]'} <= {*values}
    assert replace(everything(), values) == everything()
    others = [value if value.startswith("[") else f"other {value}" for value in values]
    assert [text.value for text in gather(replace(everything(), others)).texts] == others


def test_each_text_has_its_span() -> None:
    facts = everything()
    gathered = gather(facts)
    owners = dict(gathered.spans)
    place = next(number for number, text in enumerate(gathered.texts) if text.value == "it broke")
    begin = max(number for number in owners if number <= place)
    assert owners[begin] == facts.executions[0].span_id
