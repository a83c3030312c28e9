"""The span contract, the names and the plugin's fields say the same."""

from __future__ import annotations

import pytest

from otel_benchmark import attributes
from otel_benchmark.contract import CONTRACT, as_markdown
from otel_benchmark.fields import Value
from otel_benchmark.vocabulary import FIELDS

READ_ONLY = {
    attributes.FORMER_PROVIDER_NAME,
    attributes.FORMER_USAGE_INPUT_TOKENS,
    attributes.FORMER_USAGE_OUTPUT_TOKENS,
    attributes.GEN_AI_AGENT_DESCRIPTION,
    attributes.GEN_AI_RESPONSE_MODEL,
    attributes.GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS,
    attributes.GEN_AI_USAGE_CACHE_WRITE_INPUT_TOKENS,
}
"""Understood where others write them, not asked for."""

TYPES = {
    Value.IDENTIFIER: "string",
    Value.TEXT: "string",
    Value.NUMBER: "double",
    Value.INTEGER: "int",
    Value.FLAG: "boolean",
    Value.TEXTS: "string[]",
    Value.AMOUNTS: "double[]",
    Value.CONTENT: "string",
}


def test_every_name_of_the_lifecycle_is_in_the_contract() -> None:
    names = {
        value
        for name, value in vars(attributes).items()
        if name.isupper() and isinstance(value, str) and value.startswith(("arbiter.", "caws.", "gen_ai."))
    }
    contract = {carrier.name for carrier in CONTRACT} | {row.name for carrier in CONTRACT for row in carrier.attributes}
    assert names - READ_ONLY <= contract
    assert contract & READ_ONLY == set()


@pytest.mark.parametrize("kind", list(attributes.Kind))
def test_the_plugin_writes_what_the_contract_says(kind: attributes.Kind) -> None:
    types = {row.name: row.type for carrier in CONTRACT if carrier.kind == kind for row in carrier.attributes}
    for field in FIELDS[kind]:
        if field.value is not Value.ITEMS:
            for name in field.attributes:
                assert types[name] == TYPES[field.value], name


def test_no_attribute_is_named_twice_on_a_span() -> None:
    for carrier in CONTRACT:
        names = [row.name for row in carrier.attributes]
        assert len(names) == len(set(names)), carrier.name


def test_the_table_has_a_row_for_every_attribute() -> None:
    lines = as_markdown(CONTRACT).splitlines()
    for carrier in CONTRACT:
        for row in carrier.attributes:
            assert f"| `{row.name}` | {row.type} | {row.meaning} |" in lines
