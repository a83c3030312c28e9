"""The conversation facet: threads of messages, tools joined to the calls that asked for them, and what is missing.

Content:
    conversations: a list, in the order in which they began, of
        agents: who took part, by name
        exchanges: model calls and agents' spans that it was joined from
        messages: role, parts, name, finishReason, spanId, at (RFC 3339), source (`model` or `tool_span`)
            parts: {type: text | reasoning, content} · {type: tool_call, id, name, arguments, run}
                   · {type: tool_call_response, id, response} · {type: other, kind}
    toolRuns: runs that no message asked for, with name, arguments, result and run
A `run` is {spanId, at, durationMs, failed}.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from collector_processor.analyse.analyser import Clean, Finding
from collector_processor.analyse.conversation.exchanges import Exchange, ToolRun, exchanges_of, tool_runs_of
from collector_processor.analyse.conversation.messages import Message
from collector_processor.analyse.conversation.threads import Thread, threads_of
from collector_processor.analyse.material import Material
from collector_processor.model.samples import SampleReason, SampleStatus
from collector_processor.model.sampling import Facet
from collector_processor.model.times import to_text
from otel_benchmark import attributes as a

_MODEL: Final = "model"
_TOOL_SPAN: Final = "tool_span"


class ConversationAnalyser:
    """Reconstructs what was said. See Analyser."""

    facet = Facet.CONVERSATION
    version = 1

    def analyse(self, material: Material, clean: Clean) -> Finding:  # noqa: ARG002  # nothing leaves meanwhile
        """See Analyser."""
        return conversation_of(material)


def conversation_of(material: Material) -> Finding:
    """Return the conversation of a task, EMPTY where nobody recorded one."""
    if material.gone:
        return Finding(SampleStatus.EMPTY, {}, SampleReason.INPUT_GONE)
    exchanges, runs = exchanges_of(material), tool_runs_of(material.spans)
    threads = threads_of(exchanges)
    told = [run for run in runs if run.arguments is not None or run.result is not None]
    if not threads and not told:
        has_content = any(not a.CONTENT_ATTRIBUTES.isdisjoint(span.attributes) for span in material.spans)
        reason = SampleReason.NO_INPUT if has_content else SampleReason.CONTENT_OFF
        return Finding(SampleStatus.EMPTY, {}, reason)
    tools = _Tools(runs, threads)
    conversations = [_conversation(thread, tools) for thread in threads]
    content = {"conversations": conversations, "toolRuns": [_lone(run) for run in tools.left if run in told]}
    gaps = tuple(_gaps(material, exchanges, threads, tools))
    if gaps:
        return Finding(SampleStatus.PARTIAL, content, SampleReason.GAPS, gaps)
    return Finding(SampleStatus.COMPLETE, content)


class _Tools:
    """Runs of tools, given out to the calls that asked for them: by the call's id, else by name in order."""

    def __init__(self, runs: Sequence[ToolRun], threads: Iterable[Thread]) -> None:
        self.left = list(runs)
        self.answered = {
            part["id"] for thread in threads for said in thread.said for part in said.message.responses if part["id"]
        }
        self.unanswered = 0

    def run_of(self, call: Mapping[str, Any]) -> ToolRun | None:
        """Take the run of a call."""
        for number, run in enumerate(self.left):
            if run.call_id == call["id"] if run.call_id and call["id"] else run.name == call["name"]:
                return self.left.pop(number)
        return None


def _conversation(thread: Thread, tools: _Tools) -> dict[str, Any]:
    messages: list[dict[str, Any]] = []
    followed = [bool([*said.message.responses]) for said in thread.said[1:]] + [False]
    for said, is_followed in zip(thread.said, followed, strict=True):
        parts, results = [], []
        for part in said.message.parts:
            if part["type"] != "tool_call":
                parts.append(part)
                continue
            run = tools.run_of(part)
            answered = part["id"] in tools.answered if part["id"] else is_followed
            arguments = part["arguments"] if part["arguments"] is not None or run is None else run.arguments
            parts.append({**part, "arguments": arguments, "run": _run(run)})
            if not answered and run is not None and run.result is not None:
                results.append((run, part))
            elif not answered:
                tools.unanswered += said is not thread.said[-1]
        messages.append(_message(said.message, parts, said.span_id, said.at, _MODEL))
        for run, part in results:
            response = {"type": "tool_call_response", "id": part["id"], "response": run.result}
            messages.append(_message(Message("tool", (), run.name), [response], run.span_id, run.end, _TOOL_SPAN))
    return {"agents": thread.agents, "exchanges": thread.exchanges, "messages": messages}


def _message(
    message: Message, parts: Sequence[Mapping[str, Any]], span_id: str, at: int, source: str
) -> dict[str, Any]:
    return {
        "role": message.role,
        "parts": parts,
        "name": message.name,
        "finishReason": message.finish_reason,
        "spanId": span_id,
        "at": to_text(at),
        "source": source,
    }


def _run(run: ToolRun | None) -> dict[str, Any] | None:
    if run is None:
        return None
    duration = max(0, run.end - run.start) / 1e6
    return {"spanId": run.span_id, "at": to_text(run.start), "durationMs": duration, "failed": run.failed}


def _lone(run: ToolRun) -> dict[str, Any]:
    return {"name": run.name, "id": run.call_id, "arguments": run.arguments, "result": run.result, "run": _run(run)}


def _gaps(material: Material, exchanges: Sequence[Exchange], threads: Sequence[Thread], tools: _Tools) -> Iterable[str]:
    calls = [exchange for exchange in exchanges if exchange.is_call]
    if silent := sum(exchange.silent for exchange in calls):
        yield f"{silent} of {len(calls)} model calls carry no messages"
    if half := sum(not exchange.silent and not exchange.outputs.messages for exchange in calls):
        yield f"{half} of {len(calls)} model calls carry no answer"
    if not threads:
        yield "only tools say anything"
    if cut := sum(exchange.inputs.cut or exchange.outputs.cut for exchange in exchanges):
        yield f"messages of {cut} spans were cut by their sender"
    if dropped := sum(bool(exchange.dropped) for exchange in exchanges):
        yield f"{dropped} spans had attributes dropped by their sender"
    if rewritten := sum(thread.rewritten for thread in threads):
        yield f"{rewritten} calls had other messages in place of earlier ones"
    if tools.unanswered:
        yield f"{tools.unanswered} tool calls have no result"
    others = Counter(
        part["kind"] for thread in threads for said in thread.said for part in said.message.parts
        if part["type"] == "other"
    )  # fmt: skip
    if others:
        yield f"{others.total()} parts that are no text were left out"
    if material.unreadable:
        yield f"{material.unreadable} spans or log records can't be decoded"
    if material.record.completeness.truncated:
        yield "spans of the task were shed by a limit"
