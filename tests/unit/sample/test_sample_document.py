"""The policies' document: what is read, what is written back is read the same, and every mistake has its place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.sampled import config

from collector_processor.errors import ConfigError
from collector_processor.model.sampling import Facet, Spent
from collector_processor.sample import Policy, SamplingConfig, default_document
from collector_processor.sample.policies import HOUR, EachStratum, Fixed, Rate, Unit


def test_the_default_is_the_strategys():
    assert config(default_document()) == SamplingConfig(
        "otel-benchmark",
        HOUR,
        (
            Policy(Facet.CONVERSATION, "complex tasks", Fixed(0.05), {"task": {"complexity": "complex"}}),
            Policy(Facet.AST, "a tenth", Fixed(0.1)),
            Policy(Facet.JUDGE, "a fifth", Fixed(0.2)),
            Policy(Facet.REFLECTION, "a tenth", Fixed(0.1)),
        ),
        {},
        config("").costs,
    )


def test_what_the_default_shows_to_be_copied_can_be_read():
    shown = default_document().split("# What else there is", 1)[1].partition("\n")[2]
    copied = "\n".join(line.removeprefix("#").removeprefix(" ") for line in shown.splitlines())
    read = config(copied)
    assert [policy.rule for policy in read.policies] == [
        Rate(Unit.BYTES, 20_000_000, 0.1, 1.0),
        Fixed(1.0),
        EachStratum(2, 0.1, 1.0),
        Fixed(1.0),
        Fixed(0.5),
        Rate(Unit.CALLS, 60, 0.1, 1.0),
    ]
    assert read.caps == {Facet.JUDGE: 500}
    assert read.costs[Facet.JUDGE] == Spent(1, 8000, 3)


def test_an_empty_document_keeps_nothing():
    assert config("").policies == ()


def test_a_policy_never_starts_above_what_it_may_reach():
    (policy,) = config("[[judge]]\nname='p'\nper_hour=5\ninitially=0.5\nat_most=0.2").policies
    assert policy.rule == Rate(Unit.SAMPLES, 5, 0.2, 0.2)


P = "[[judge]]\nname='p'\n"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("judge", ["test.toml is no TOML document: "]),
        ("[[judges]]\nname='p'", ["test.toml: judges: no such key; did you mean judge?"]),
        ("[judge]\nname='p'", ["test.toml: judge: has to be a list of policies, each below a line [[judge]]"]),
        ("judge = [1]", ["test.toml: judge: has to be a list of policies, each below a line [[judge]]"]),
        ("seed = ''", ["test.toml: seed: has to be a text of at least one letter"]),
        ("seed = 7", ["test.toml: seed: has to be a text of at least one letter"]),
        ("window_minutes = 0", ["test.toml: window_minutes: has to be a number from 1 to 1440"]),
        ("window_minutes = true", ["test.toml: window_minutes: has to be a number from 1 to 1440"]),
        ("[[judge]]\nalways=true", ["test.toml: judge[1].name: each policy needs a name"]),
        (
            f"{P}always=true\n{P}always=true",
            ["test.toml: judge[2].name: a policy of judge before it is called 'p' too"],
        ),
        (P, ["test.toml: judge[1]: needs exactly one of always, probability, per_hour, bytes_per_hour,"]),
        (f"{P}always=true\nper_hour=3", ["test.toml: judge[1]: needs exactly one of"]),
        (f"{P}always=false", ["test.toml: judge[1].always: has to be true; `probability` keeps a share"]),
        (f"{P}probability=0", ["test.toml: judge[1].probability: has to be a number above 0, up to 1"]),
        (f"{P}probability=1.5", ["test.toml: judge[1].probability: has to be a number above 0, up to 1"]),
        (f"{P}probability=nan", ["test.toml: judge[1].probability: has to be a number above 0, up to 1"]),
        (f"{P}probability='0.5'", ["test.toml: judge[1].probability: has to be a number above 0, up to 1"]),
        (f"{P}probability=0.5\nat_most=1", ["test.toml: judge[1].at_most: is for policies with per_hour,"]),
        (f"{P}per_hour=-1", ["test.toml: judge[1].per_hour: has to be a number above 0, up to 1e+15"]),
        (f"{P}per_hour=1\ninitially=2", ["test.toml: judge[1].initially: has to be a number above 0, up to 1"]),
        (f"{P}always=true\nwehn=1", ["test.toml: judge[1].wehn: no such key; did you mean when?"]),
        (f"{P}always=true\nwhen.{'not.' * 2000}gate=true", ["test.toml: conditions are nested too deeply"]),
        (f"{P}always=true\nwhen={{}}", ["test.toml: judge[1].when: has to be a condition, such as"]),
        (f"{P}always=true\nwhen='always'", ["test.toml: judge[1].when: has to be a condition, such as"]),
        ("[cap]\njudges=1", ["test.toml: cap.judges: no such key; did you mean judge?"]),
        ("[cap]\njudge=-1", ["test.toml: cap.judge: has to be a whole number from 0 to 1000000"]),
        ("cap = 5", ["test.toml: cap: has to be a table such as { judge = 500 }"]),
        ("[cost]\nast = 5", ["test.toml: cost.ast: has to be a table with bytes and calls"]),
        ("[cost.ast]\nbytes = 0", ["test.toml: cost.ast.bytes: has to be a whole number from 1 to"]),
        ("[cost.ast]\ncalls = 1.5", ["test.toml: cost.ast.calls: has to be a whole number from 0 to 1000"]),
        ("[cost.ast]\nbyte = 1", ["test.toml: cost.ast.byte: no such key; did you mean bytes?"]),
        (
            f"seed=''\n{P}always=1\nwhen.gate='x'",
            ["test.toml: seed: ", "test.toml: judge[1].when.gate: ", "… always: "],
        ),
    ],
)
def test_every_mistake_is_told_with_table_and_key(text: str, lines: list[str]):
    with pytest.raises(ConfigError) as caught:
        config(text)
    told = str(caught.value).splitlines()
    assert len(told) == len(lines)
    for line, begins in zip(told, lines, strict=True):
        assert line.startswith(begins) or (begins.startswith("…") and begins[2:] in line)


def test_too_many_policies_are_refused():
    many = "\n".join(f"[[judge]]\nname='{number}'\nalways=true" for number in range(101))
    with pytest.raises(ConfigError, match=r"policies: there are 101: 100 is the most"):
        config(many)


# -- What is written is read the same ------------------------------------------------------------------------


def toml(value: Any) -> str:
    """A value as TOML writes it inline."""
    match value:
        case dict():
            return "{" + ", ".join(f"{json.dumps(key)} = {toml(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(toml, value)) + "]"
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case bool():
            return str(value).lower()
    return repr(value)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NUMBERS = st.floats(-1e6, 1e6) | st.integers(-1000, 1000)
LEAVES = st.one_of(
    st.fixed_dictionaries({"task": st.fixed_dictionaries({"type": TEXTS | st.lists(TEXTS, min_size=1, max_size=3)})}),
    st.fixed_dictionaries({"execution": st.fixed_dictionaries({"costUsd": st.fixed_dictionaries({"above": NUMBERS})})}),
    st.fixed_dictionaries({"routing": st.fixed_dictionaries({"explored": st.booleans()})}),
    st.fixed_dictionaries({"first": st.fixed_dictionaries({"agent": st.integers(1, 1000)})}),
    st.fixed_dictionaries({"gate": st.booleans() | st.just("pii")}),
)
CONDITIONS = st.recursive(
    LEAVES,
    lambda inner: (
        st.fixed_dictionaries({"any": st.lists(inner, min_size=1, max_size=3)}) | st.fixed_dictionaries({"not": inner})
    ),
    max_leaves=6,
)
SHARES = st.floats(0, 1, exclude_min=True)
RULES = st.one_of(
    st.builds(lambda share: ({"probability": share}, Fixed(share)), SHARES),
    st.just(({"always": True}, Fixed(1.0))),
    st.builds(
        lambda key, per_hour, share: ({key: per_hour, "at_most": share}, (key, per_hour, share)),
        st.sampled_from(["per_hour", "bytes_per_hour", "calls_per_hour", "each_stratum_per_hour"]),
        st.integers(1, 10**9),
        SHARES,
    ),
)
NAMES = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20)


@given(st.lists(st.tuples(st.sampled_from(Facet), NAMES, CONDITIONS, RULES), unique_by=lambda each: each[:2]), NAMES)
def test_what_is_written_is_read_the_same(policies: list[tuple[Facet, str, Any, Any]], seed: str):
    lines = [f"seed = {toml(seed)}"]
    for facet, name, when, (rule, _) in policies:
        lines += [f"[[{facet}]]", f"name = {toml(name)}", f"when = {toml(when)}"]
        lines += [f"{key} = {toml(value)}" for key, value in rule.items()]
    read = config("\n".join(lines))
    assert read.seed == seed
    assert len(read.policies) == len(policies)
    found = {(policy.facet, policy.name): policy for policy in read.policies}
    for facet, name, when, (written, rule) in policies:
        policy = found[facet, name]
        assert policy.when == when
        if isinstance(policy.rule, Fixed):
            assert policy.rule == rule
        else:
            key, per_hour, share = rule
            assert (policy.rule.per_hour, policy.rule.at_most) == (per_hour, share), written
            assert isinstance(policy.rule, EachStratum) == (key == "each_stratum_per_hour")


_ANYTHING = st.recursive(
    st.booleans() | NUMBERS | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "when", "task", "any"]) | TEXTS, inner)
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from([*Facet, "cap", "cost", "seed", "window_minutes", "when"]), _ANYTHING))
def test_any_document_is_read_or_refused_in_our_own_words(document: dict[str, Any]):
    text = "\n".join(f"{key} = {toml(value)}" for key, value in document.items())
    told = ""
    try:
        config(text)
    except ConfigError as error:
        told = str(error)
    assert all(line.startswith("test.toml") for line in told.splitlines())


def test_a_key_can_not_break_a_line():
    with pytest.raises(ConfigError) as caught:
        config('["cap"]\n"a\\nb" = 1')
    assert str(caught.value).splitlines() == [
        "test.toml: cap.a�b: no such key; there are conversation, ast, judge, reflection"
    ]
