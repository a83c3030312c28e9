"""What real instrumentations of the OpenAI client sent, captured once: an agent that adds two numbers with a tool."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf.json_format import Parse
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from support.analysis import said_in, work_of

from collector_processor.analyse import Part, Work
from collector_processor.analyse.conversation import conversation_of
from collector_processor.analyse.otlp import read
from collector_processor.model.samples import SampleStatus
from collector_processor.model.stages import Signal

CAPTURED = Path(__file__).with_name("captured")


def parts_of(name: str) -> tuple[Part, ...]:
    """The spans and, where there were any, the log records of one instrumentation."""
    traces = Parse((CAPTURED / f"{name}.spans.json").read_text(encoding="utf-8"), TracesData())
    parts = [Part(traces.SerializeToString(), (0, 1))]
    logs = CAPTURED / f"{name}.logs.json"
    if logs.exists():
        records = Parse(logs.read_text(encoding="utf-8"), LogsData())
        parts.append(Part(records.SerializeToString(), tuple(range(8)), Signal.LOGS))
    return tuple(parts)


@pytest.mark.parametrize(
    "name", sorted(path.name.removesuffix(".spans.json") for path in CAPTURED.glob("*.spans.json"))
)
def test_they_all_say_the_same(name):
    given = work_of()
    finding = conversation_of(read(Work(given.facet, given.record, parts_of(name))))
    assert finding.status is SampleStatus.COMPLETE, finding.gaps
    messages = said_in(finding.content)
    called = messages[2].pop("tool_calls")
    assert messages == [
        {"role": "system", "content": "Be exact."},
        {"role": "user", "content": "1+2?"},
        {"role": "assistant", "content": None},
        {"role": "tool", "tool_call_id": "call_1", "content": "3"},
        {"role": "assistant", "content": "It is 3."},
    ]
    assert (called[0]["id"], called[0]["function"]["name"]) == ("call_1", "add")
    assert called[0]["function"]["arguments"].replace(" ", "") == '{"a":1,"b":2}'
