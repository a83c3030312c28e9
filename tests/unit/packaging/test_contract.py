"""The span contract holds every name that the plugin writes and the processor reads."""

from __future__ import annotations

from otel_benchmark import attributes
from otel_benchmark.contract import CONTRACT, as_markdown

READ_ONLY = {
    attributes.FORMER_CHOICE_EVENT,
    attributes.FORMER_COMPLETION,
    attributes.FORMER_PROMPT,
    attributes.FORMER_PROVIDER_NAME,
    attributes.FORMER_USAGE_INPUT_TOKENS,
    attributes.FORMER_USAGE_OUTPUT_TOKENS,
    attributes.GEN_AI_AGENT_DESCRIPTION,
    attributes.GEN_AI_PREFIX,
    attributes.GEN_AI_DETAILS_EVENT,
    attributes.GEN_AI_RESPONSE_MODEL,
    attributes.GEN_AI_SYSTEM_INSTRUCTIONS,
    attributes.GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS,
    attributes.GEN_AI_USAGE_CACHE_WRITE_INPUT_TOKENS,
}
"""Understood where others write them, not asked for."""


def test_every_name_of_the_lifecycle_is_in_the_contract() -> None:
    names = {
        value
        for name, value in vars(attributes).items()
        if name.isupper() and isinstance(value, str) and value.startswith(("arbiter.", "caws.", "gen_ai."))
    }
    events = [event for span in CONTRACT for event in span.events]
    written = {event.name for event in events}
    written |= {attribute.name for span in CONTRACT for attribute in span.attributes}
    written |= {attribute.name for event in events for attribute in event.attributes}
    assert names - READ_ONLY - attributes.POINT_ATTRIBUTES <= written
    assert written & (READ_ONLY | attributes.POINT_ATTRIBUTES) == set()


def test_a_span_is_recognised_by_the_first_word_of_its_name() -> None:
    assert [span.name.split()[0] for span in CONTRACT] == list(attributes.Kind)
    for span in CONTRACT:
        assert attributes.TASK_ID in span.confirmed_by
        assert set(span.confirmed_by) <= {attribute.name for attribute in span.attributes}


def test_no_attribute_is_named_twice_on_a_span() -> None:
    for span in CONTRACT:
        names = [attribute.name for attribute in span.attributes]
        assert len(names) == len(set(names)), span.name


def test_the_table_has_a_row_for_every_attribute() -> None:
    lines = as_markdown(CONTRACT).splitlines()
    for span in CONTRACT:
        for attribute in span.attributes:
            assert f"| `{attribute.name}` | {attribute.type} |" in lines
