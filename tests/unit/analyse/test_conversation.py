"""Conversations from all the places that say them: joined, in order, each message once, and gaps told."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from support.analysis import log, material_of, work_of
from support.lifecycle import event, execution, model_call, payload, task, tool_call

from collector_processor.analyse import Part
from collector_processor.analyse.conversation import conversation_of
from collector_processor.analyse.otlp import read
from collector_processor.model.samples import SampleReason, SampleStatus
from otel_benchmark import attributes as a


def text(role: str, content: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "content": content}]}


def call(number: int, inputs: Any = None, output: Any = None, **more: Any):
    said = {}
    if inputs is not None:
        said[a.GEN_AI_INPUT_MESSAGES] = inputs if isinstance(inputs, str) else json.dumps(inputs)
    if output is not None:
        said[a.GEN_AI_OUTPUT_MESSAGES] = output if isinstance(output, str) else json.dumps(output)
    times = {"start": 10.0 * number, "end": 10.0 * number + 5} | more
    attributes = said | times.pop("attributes", {})
    return model_call(100 + number, attributes=attributes, **times)


def words(content: Any, thread: int = 0) -> list[tuple[str, str]]:
    """(role, text) of a thread's messages."""
    return [
        (message["role"], "".join(part.get("content") or part.get("response") or "" for part in message["parts"]))
        for message in content["conversations"][thread]["messages"]
    ]


SYSTEM, HELLO, HI = text("system", "Be kind."), text("user", "Hello"), text("assistant", "Hi!")


# -- Joining -------------------------------------------------------------------------------------------------


def test_what_each_call_repeats_stands_once():
    later = text("user", "Bye")
    finding = conversation_of(
        material_of(call(1, [SYSTEM, HELLO], [HI]), call(2, [SYSTEM, HELLO, HI, later], [text("assistant", "Bye!")]))
    )
    assert finding.status is SampleStatus.COMPLETE
    assert words(finding.content) == [
        ("system", "Be kind."),
        ("user", "Hello"),
        ("assistant", "Hi!"),
        ("user", "Bye"),
        ("assistant", "Bye!"),
    ]
    assert finding.content["conversations"][0]["exchanges"] == 2


def test_words_that_are_said_twice_stand_twice():
    yes = text("user", "yes")
    finding = conversation_of(material_of(call(1, [HELLO, yes], [HI]), call(2, [HELLO, yes, HI, yes], [HI])))
    assert [said for _, said in words(finding.content)] == ["Hello", "yes", "Hi!", "yes", "Hi!"]


def test_an_agents_span_that_repeats_its_calls_adds_nothing():
    agent = execution(
        start=1,
        end=99,
        attributes={
            a.GEN_AI_INPUT_MESSAGES: json.dumps([HELLO]),
            a.GEN_AI_OUTPUT_MESSAGES: json.dumps([text("assistant", "Done")]),
        },
    )
    finding = conversation_of(
        material_of(agent, call(4, [SYSTEM, HELLO], [HI]), call(5, [SYSTEM, HELLO, HI], [text("assistant", "Done")]))
    )
    assert [said for _, said in words(finding.content)] == ["Be kind.", "Hello", "Hi!", "Done"]
    assert finding.content["conversations"][0]["agents"] == ["Alpha"]


def test_helpers_with_another_system_message_have_a_conversation_of_their_own():
    other = text("system", "Count words.")
    finding = conversation_of(
        material_of(call(1, [SYSTEM, HELLO], [HI]), call(2, [other, HELLO], [text("assistant", "1")]))
    )
    assert [words(finding.content, number)[0] for number in (0, 1)] == [
        ("system", "Be kind."),
        ("system", "Count words."),
    ]


def test_a_history_that_lost_its_beginning_goes_on_in_its_conversation():
    finding = conversation_of(
        material_of(
            call(1, [SYSTEM, HELLO], [HI]),
            call(2, [SYSTEM, HELLO, HI, text("user", "2")], [text("assistant", "two")]),
            call(
                3,
                [SYSTEM, text("user", "2"), text("assistant", "two"), text("user", "3")],
                [text("assistant", "three")],
            ),
        )
    )
    assert finding.status is SampleStatus.COMPLETE
    assert [said for _, said in words(finding.content)] == ["Be kind.", "Hello", "Hi!", "2", "two", "3", "three"]


def test_a_summary_in_place_of_messages_is_told():
    finding = conversation_of(
        material_of(
            call(1, [SYSTEM, HELLO], [HI]),
            call(2, [SYSTEM, HELLO, HI, text("user", "2")], [text("assistant", "two")]),
            call(3, [SYSTEM, text("user", "(so far: greetings)"), text("user", "2"), text("assistant", "two")], [HI]),
        )
    )
    assert (finding.status, finding.reason) == (SampleStatus.PARTIAL, SampleReason.GAPS)
    assert finding.gaps == ("1 calls had other messages in place of earlier ones",)
    assert "(so far: greetings)" in [said for _, said in words(finding.content)]


# -- Places --------------------------------------------------------------------------------------------------


def test_messages_in_span_events():
    events = [
        event("gen_ai.system.message", {"content": "Be kind."}, at=10),
        event("gen_ai.user.message", {"content": "Hello"}, at=11),
        event("gen_ai.choice", {"index": 0, "finish_reason": "stop", "message": '{"content": "Hi!"}'}, at=14),
    ]
    finding = conversation_of(material_of(call(1, events=events)))
    assert words(finding.content) == [("system", "Be kind."), ("user", "Hello"), ("assistant", "Hi!")]
    assert finding.content["conversations"][0]["messages"][2]["finishReason"] == "stop"


def test_messages_in_log_records():
    logs = [
        log("gen_ai.user.message", {"content": "Hello"}, number=101, at=11),
        log("gen_ai.choice", {"message": '{"role": "assistant", "content": "Hi!"}'}, number=101, at=14),
        log("http.request", {"content": "not a message"}, number=101, at=12),
    ]
    finding = conversation_of(material_of(call(1), logs=logs))
    assert (finding.status, words(finding.content)) == (
        SampleStatus.COMPLETE,
        [("user", "Hello"), ("assistant", "Hi!")],
    )


def test_messages_in_the_details_of_a_call_whose_span_never_came():
    details = {a.GEN_AI_INPUT_MESSAGES: json.dumps([HELLO]), a.GEN_AI_OUTPUT_MESSAGES: json.dumps([HI])}
    finding = conversation_of(material_of(logs=[log(a.GEN_AI_DETAILS_EVENT, details, number=77, at=20)]))
    assert words(finding.content) == [("user", "Hello"), ("assistant", "Hi!")]


def test_system_instructions_come_first():
    instructions = {a.GEN_AI_SYSTEM_INSTRUCTIONS: json.dumps([{"type": "text", "content": "Be kind."}])}
    finding = conversation_of(material_of(call(1, [HELLO], [HI], attributes=instructions)))
    assert words(finding.content)[0] == ("system", "Be kind.")


def test_blocks_of_the_anthropic_form():
    use = {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "add", "input": {"a": 1}}]}
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "2"}]}
    finding = conversation_of(material_of(call(1, [HELLO], [use]), call(2, [HELLO, use, result], [HI])))
    _, called, answered, _ = finding.content["conversations"][0]["messages"]
    assert called["parts"][0] | {"run": None} == {
        "type": "tool_call", "id": "t1", "name": "add", "arguments": '{"a":1}', "run": None,
    }  # fmt: skip
    assert answered["parts"] == [{"type": "tool_call_response", "id": "t1", "response": "2"}]


# -- Tools ---------------------------------------------------------------------------------------------------


def asks(call_id: str | None, name: str = "add") -> dict[str, Any]:
    part = {"type": "tool_call", "id": call_id, "name": name, "arguments": {"a": 1}}
    return {"role": "assistant", "parts": [part]}


def test_a_result_that_only_the_tools_span_knows_follows_its_call():
    run = tool_call(9, start=20, end=21, attributes={
        a.GEN_AI_TOOL_NAME: "add", a.GEN_AI_TOOL_CALL_ID: "c1", a.GEN_AI_TOOL_CALL_RESULT: "2",
    })  # fmt: skip
    finding = conversation_of(material_of(call(1, [HELLO], [asks("c1")]), run))
    messages = finding.content["conversations"][0]["messages"]
    assert finding.status is SampleStatus.COMPLETE
    assert messages[1]["parts"][0]["run"] == {
        "spanId": "0000000000000009", "at": "2025-11-22T12:00:00.020000000Z", "durationMs": 1.0, "failed": False,
    }  # fmt: skip
    assert (messages[2]["source"], messages[2]["parts"][0]["response"]) == ("tool_span", "2")


def test_runs_without_an_id_go_to_calls_of_their_name_in_order():
    runs = [
        tool_call(number, start=number, attributes={a.GEN_AI_TOOL_NAME: "add", a.GEN_AI_TOOL_CALL_RESULT: said})
        for number, said in ((20, "first"), (40, "second"))
    ]
    calls = call(1, [HELLO], [asks(None)]), call(3, [text("user", "x")], [asks(None)])
    content = conversation_of(material_of(*calls, *runs)).content
    results = [
        message["parts"][0]["response"]
        for thread in content["conversations"]
        for message in thread["messages"]
        if message["role"] == "tool"
    ]
    assert results == ["first", "second"]


def test_runs_that_no_message_asked_for_stand_apart():
    run = tool_call(9, attributes={a.GEN_AI_TOOL_NAME: "add", a.GEN_AI_TOOL_CALL_ARGUMENTS: '{"a": 1}'})
    finding = conversation_of(material_of(run))
    (lone,) = finding.content["toolRuns"]
    assert (lone["name"], lone["arguments"], lone["result"]) == ("add", '{"a": 1}', None)
    assert finding.gaps == ("only tools say anything",)


def test_a_call_without_a_result_is_a_gap_unless_it_is_the_last_word():
    assert conversation_of(material_of(call(1, [HELLO], [asks("c1")]))).status is SampleStatus.COMPLETE
    finding = conversation_of(material_of(call(1, [HELLO], [asks("c1")]), call(2, [HELLO, asks("c1"), HELLO], [HI])))
    assert finding.gaps == ("1 tool calls have no result",)


# -- What is missing -----------------------------------------------------------------------------------------


def test_without_content_the_sample_is_empty_and_says_why():
    def why(material):
        finding = conversation_of(material)
        return finding.status, finding.reason

    patched = execution(attributes={a.DIFF_PATCH: "x"})
    assert why(material_of(execution(), call(1))) == (SampleStatus.EMPTY, SampleReason.CONTENT_OFF)
    assert why(material_of(patched)) == (SampleStatus.EMPTY, SampleReason.NO_INPUT)
    assert why(material_of(gone=True)) == (SampleStatus.EMPTY, SampleReason.INPUT_GONE)


def test_silent_calls_among_others_are_told():
    finding = conversation_of(material_of(call(1, [HELLO], [HI]), call(2), call(3, [HELLO])))
    assert finding.gaps == ("1 of 3 model calls carry no messages", "1 of 3 model calls carry no answer")


@pytest.mark.parametrize("ending", ['{"role": "user", "par', "", '{"role"'])
def test_of_messages_that_were_cut_the_whole_ones_are_kept(ending):
    cut = json.dumps([SYSTEM, HELLO])[:-1] + ", " + ending
    finding = conversation_of(material_of(call(1, cut, [HI])))
    assert finding.gaps == ("messages of 1 spans were cut by their sender",)
    assert [said for _, said in words(finding.content)] == ["Be kind.", "Hello", "Hi!"]


@pytest.mark.parametrize("said", ["Hello", "[Hello", "{Hello}", "[1, 2]", "3"])
def test_a_text_that_is_no_document_is_a_message(said):
    finding = conversation_of(material_of(call(1, said, "Hi!")))
    assert finding.status is SampleStatus.COMPLETE
    assert words(finding.content)[-1] == ("assistant", "Hi!")
    assert words(finding.content)[0][0] == "user"


def test_images_are_left_out_and_told():
    image = {"role": "user", "parts": [{"type": "blob", "mime_type": "image/png", "content": "iVBORw0KGgo="}]}
    finding = conversation_of(material_of(call(1, [image], [HI])))
    assert "iVBORw0KGgo" not in str(finding.content)
    assert finding.gaps == ("1 parts that are no text were left out",)


def test_spans_that_cannot_be_decoded_harm_no_other():
    work = work_of(call(1, [HELLO], [HI]), call(2))
    (part,) = work.parts
    damaged = Part(part.payload.replace(b"chat small-model", b"chat small-mode\xff", 2), part.positions)
    good = Part(payload([task(), call(1, [HELLO], [HI])]), (1,))
    finding = conversation_of(read(msgspec.structs.replace(work, parts=(damaged, good))))
    assert words(finding.content) == [("user", "Hello"), ("assistant", "Hi!")]
    assert finding.gaps == ("2 spans or log records can't be decoded",)


def test_what_is_no_otlp_is_an_error():
    with pytest.raises(DecodeError):
        read(msgspec.structs.replace(work_of(), parts=(Part(b"\xff\xff", (0,)),)))


@pytest.mark.parametrize("value", ["[" * 5000, '[{"role":' + "[" * 3000, "null", "[null]", "{}", '[{"parts": 3}]'])
def test_nothing_that_a_sender_writes_breaks_it(value):
    assert conversation_of(material_of(call(1, value, value))).status in SampleStatus


def test_attributes_of_another_type_harm_nothing():
    names = a.GEN_AI_OPERATION_NAME, a.OPENINFERENCE_KIND, a.LLM_REQUEST_TYPE, a.GEN_AI_AGENT_NAME
    odd = {name: ["x"] for name in names}
    finding = conversation_of(material_of(call(1, [HELLO], [HI], attributes=odd), tool_call(9, attributes=odd)))
    assert words(finding.content) == [("user", "Hello"), ("assistant", "Hi!")]


NAMES = st.sampled_from(
    [
        "role",
        "content",
        "parts",
        "type",
        "text",
        "tool_calls",
        "tool_call",
        "function",
        "name",
        "id",
        "message",
        "input",
    ]
)
WORDS = st.sampled_from(["user", "tool", "text", "tool_call", "tool_call_response", "tool_use", "blob", "", '{"a": 1}'])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=14,
)


@settings(max_examples=100, deadline=None)
@given(VALUES, VALUES, VALUES)
def test_any_document_in_any_place_is_read(inputs, output, said):
    logs = [log("gen_ai.choice", {"message": json.dumps(said), "content": "x"}, number=101, at=3)]
    assert conversation_of(material_of(call(1, inputs, output), call(2, [HELLO]), logs=logs)).status in SampleStatus
