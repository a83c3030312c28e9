"""Objects of every kind are read by common names; no host code runs on the way."""

from __future__ import annotations

import collections
from collections import UserDict
from dataclasses import dataclass, make_dataclass
from types import SimpleNamespace
from typing import Any, NamedTuple

import attrs
import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from otel_benchmark import attributes as a
from otel_benchmark.attributes import Kind
from otel_benchmark.extract import Reader, names_of
from otel_benchmark.fields import Root
from otel_benchmark.vocabulary import FIELDS, ITEM_FIELDS


def reader(kind: Kind = Kind.ROUTE, root: Root = Root.RESULT, *, fresh: bool = False) -> Reader:
    return Reader(names_of(FIELDS[kind], root, capture_content=False), fresh=fresh)


def read(value: Any, kind: Kind = Kind.ROUTE, root: Root = Root.RESULT) -> dict[str, Any]:
    out: dict[str, Any] = {}
    reader(kind, root).read(value, out)
    fresh: dict[str, Any] = {}
    reader(kind, root, fresh=True).read(value, fresh)
    assert fresh == out
    return out


@dataclass
class Data:
    agent_id: str = "a-1"
    confidence: float = 0.5
    unrelated: int = 1


@dataclass(slots=True)
class Slotted:
    agent_id: str = "a-1"
    confidence: float = 0.5


@attrs.define
class Attrs:
    agent_id: str = "a-1"
    confidence: float = 0.5


@attrs.define(slots=False)
class AttrsWithDict:
    agent_id: str = "a-1"
    confidence: float = 0.5


class Struct(msgspec.Struct):
    agent_id: str = "a-1"
    confidence: float = 0.5


class Tuple(NamedTuple):
    agent_id: str = "a-1"
    confidence: float = 0.5


class Plain:
    def __init__(self) -> None:
        self.agent_id = "a-1"
        self.confidence = 0.5


class Constant:
    agent_id = "a-1"
    confidence = 0.5


class Pydantic:
    """As pydantic's BaseModel has it: fields declared on the class, values in the instance's dict, __getattr__."""

    __pydantic_fields__ = {"agent_id": None, "confidence": None}  # noqa: RUF012

    def __init__(self) -> None:
        self.__dict__.update(agent_id="a-1", confidence=0.5)

    def __getattr__(self, name: str) -> object:
        raise AssertionError("host code must not run")


@pytest.mark.parametrize(
    "value",
    [
        Data(),
        Slotted(),
        Attrs(),
        AttrsWithDict(),
        Struct(),
        Tuple(),
        Plain(),
        Constant(),
        Pydantic(),
        SimpleNamespace(agent_id="a-1", confidence=0.5),
        {"agent_id": "a-1", "confidence": 0.5},
        {"agentId": "a-1", "confidence": 0.5},
        collections.defaultdict(list, agent_id="a-1", confidence=0.5),
        UserDict(agent_id="a-1", confidence=0.5),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_kind_of_object_is_read(value):
    assert read(value) == {a.ROUTING_SELECTED_ID: "a-1", a.ROUTING_CONFIDENCE: 0.5}


class Lazy:
    """Everything here would run a query."""

    @property
    def agent_id(self) -> str:
        raise AssertionError("a property ran")

    @property
    def confidence(self) -> float:
        raise AssertionError("a property ran")

    def strategy(self) -> str:
        raise AssertionError("a method ran")

    def __getattr__(self, name: str) -> object:
        raise AssertionError("__getattr__ ran")

    def __bool__(self) -> bool:
        raise AssertionError("__bool__ ran")

    def __eq__(self, other: object) -> bool:
        raise AssertionError("__eq__ ran")

    __hash__ = None  # type: ignore[assignment]


def test_no_property_method_or_operator_of_the_host_runs():
    assert read(Lazy()) == {}
    assert read({"agent_id": Lazy(), "confidence": Lazy(), "agent": Lazy()}) == {}


class Hostile(dict):  # type: ignore[type-arg]
    def get(self, *_: object) -> object:
        raise RuntimeError

    def __iter__(self) -> Any:
        raise RuntimeError

    def __getitem__(self, _: object) -> object:
        raise RuntimeError


def test_an_exception_means_missing():
    assert read(Hostile(agent_id="a-1")) == {}


class Unbound:
    """A proxy without a subject, as web frameworks have them outside of a request."""

    @property  # type: ignore[misc]  # such a proxy lies about its type
    def __class__(self) -> Any:
        raise RuntimeError("working outside of request context")


def test_a_value_that_will_not_tell_its_type_costs_only_its_own_field():
    assert read({"agent_id": Unbound(), "strategy": Unbound(), "confidence": 0.5}) == {a.ROUTING_CONFIDENCE: 0.5}
    assert read(SimpleNamespace(agent=Unbound(), candidates=Unbound(), confidence=0.5)) == {a.ROUTING_CONFIDENCE: 0.5}


def test_a_value_of_the_wrong_type_lets_the_next_name_speak():
    assert read({"agent_id": ["no"], "selected_id": "yes"})[a.ROUTING_SELECTED_ID] == "yes"
    assert read({"agent_id": None, "selected_id": "yes"})[a.ROUTING_SELECTED_ID] == "yes"


def test_names_are_tried_in_their_order():
    assert read({"id": "decision", "agent": {"id": "agent"}})[a.ROUTING_SELECTED_ID] == "agent"
    assert read({"id": "decision", "agent_id": "direct", "agent": {"id": "agent"}})[a.ROUTING_SELECTED_ID] == "direct"
    assert read({"id": "only"})[a.ROUTING_SELECTED_ID] == "only"


def test_parts_are_read_in_their_own_shape():
    decision = SimpleNamespace(agent=Data(), selected={"name": "Ada", "modelFamily": "gpt"})
    assert read(decision) == {
        a.ROUTING_SELECTED_ID: "a-1",
        a.ROUTING_SELECTED_NAME: "Ada",
        a.ROUTING_SELECTED_MODEL_FAMILY: "gpt",
    }


def test_a_value_can_be_the_answer_itself():
    assert read("agent-7") == {a.ROUTING_SELECTED_ID: "agent-7"}
    assert read(0.75, Kind.EVALUATION) == {a.EVALUATION_OVERALL_SCORE: 0.75}


def test_a_flag_can_be_told_by_its_opposite():
    assert read({"is_error": True}, Kind.TOOL_CALL) == {a.TOOL_SUCCESS: False}
    assert read({"isError": False}, Kind.TOOL_CALL) == {a.TOOL_SUCCESS: True}


def test_one_reader_serves_changing_shapes():
    shared = reader()
    for number in range(400):
        out: dict[str, Any] = {}
        shared.read({"agent_id": str(number), f"extra{number}": 1}, out)
        assert out == {a.ROUTING_SELECTED_ID: str(number)}
    out = {}
    shared.read({"agent_id": "large", **{str(number): 1 for number in range(10_000)}}, out)
    assert out == {a.ROUTING_SELECTED_ID: "large"}


def test_a_declared_field_that_an_instance_lacks_costs_only_itself():
    value = Data()
    del value.__dict__["confidence"]  # the class's default stands
    assert read(value) == {a.ROUTING_SELECTED_ID: "a-1", a.ROUTING_CONFIDENCE: 0.5}
    required = make_dataclass("Required", ["agent_id", "confidence"])("a-1", 0.5)
    del required.confidence
    assert read(required) == {a.ROUTING_SELECTED_ID: "a-1"}
    slotted = Slotted()
    del slotted.confidence
    assert read(slotted) == {a.ROUTING_SELECTED_ID: "a-1"}


_WORDS = st.sampled_from(
    sorted(
        {
            step
            for fields in FIELDS.values()
            for field in fields
            for names in field.names.values()
            for path in names
            for step in path.lstrip("!").split(".")
            if step
        }
    )
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=5),
    max_leaves=10,
)


@example(Kind.TASK, Root.PARAMETER, {"gatesPassed": ""})
@given(st.sampled_from(list(Kind)), st.sampled_from(list(Root)), _VALUES)
def test_whatever_the_host_holds_comes_out_as_attributes_or_not_at_all(kind, root, value):
    out: dict[str, Any] = {}
    reader(kind, root).read(value, out)
    fields = {name: field for field in FIELDS[kind] for name in field.attributes}
    for name, found in out.items():
        assert found is not None
        converted = fields[name].convert(found)
        assert converted == found or converted != converted or isinstance(found, float)


def test_every_field_has_a_common_name_or_is_built_from_the_call():
    nameless = {field.key for kind in Kind for field in FIELDS[kind] if not field.names}
    assert nameless == {"arguments"}
    assert all(field.names for fields in ITEM_FIELDS.values() for field in fields)


def test_every_attribute_of_the_contract_is_reachable():
    own = {"EMITTER_ID", "EMITTER_SEQUENCE", "COLLECTION_OVERHEAD_MS", "SAMPLER", "GEN_AI_OPERATION_NAME"}
    reachable = {
        name for fields in (*FIELDS.values(), *ITEM_FIELDS.values()) for field in fields for name in field.attributes
    }
    ours = {
        constant: value
        for constant, value in vars(a).items()
        if isinstance(value, str)
        and value.startswith(("arbiter.", "caws."))
        and constant not in own
        and value not in a.POINT_ATTRIBUTES  # written by the processor when it forwards
    }
    missing = {constant for constant, value in ours.items() if value not in reachable and constant != "TURN_EVENT"}
    assert not missing
