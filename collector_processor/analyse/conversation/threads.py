"""Joins the histories that model calls carry: every call repeats what was said before, and each message stands once.

A call belongs to the thread that it shares most of its messages with. Its history is merged into that thread by the
longest common run (`difflib`), so a call that lost its oldest messages, or had them replaced by a summary, still
continues the same conversation; what was put in place of others is told as a gap.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from collector_processor.analyse.conversation.exchanges import Exchange
from collector_processor.analyse.conversation.messages import Message


@dataclass(slots=True)
class Said:
    """A message in its thread: the span that carried it first, and when, in nanoseconds."""

    message: Message
    span_id: str
    at: int


@dataclass(slots=True)
class Thread:
    """One conversation with a model: that of an agent, or of one of its helpers."""

    said: list[Said] = field(default_factory=list)
    agents: list[str] = field(default_factory=list)
    exchanges: int = 0
    rewritten: int = 0
    """Calls whose history has other messages where the thread had some."""

    @property
    def keys(self) -> list[str]:
        """The messages' keys in order."""
        return [each.message.key for each in self.said]


def threads_of(exchanges: Iterable[Exchange]) -> list[Thread]:
    """Join exchanges in the order of time: what goes in counts at a call's start, what comes out at its end."""
    threads: list[Thread] = []
    of: dict[int, Thread] = {}
    moments = []
    for number, exchange in enumerate(exchanges):
        if not exchange.silent:
            moments += [(exchange.start, number, False, exchange), (exchange.end, number, True, exchange)]
    for at, number, is_end, exchange in sorted(moments, key=lambda moment: moment[:3]):
        if is_end:
            _answer(of[number], exchange, at)
            continue
        thread = _thread_for(threads, exchange.inputs.messages)
        thread.exchanges += 1
        if exchange.agent and exchange.agent not in thread.agents:
            thread.agents.append(exchange.agent)
        _merge(thread, exchange.inputs.messages, exchange.span_id, at)
        of[number] = thread
    return threads


def _thread_for(threads: list[Thread], messages: Sequence[Message]) -> Thread:
    """Return the thread that shares most with a history, a new one where none shares half of the shorter."""
    wanted = _spoken(message for message in messages)
    system = [message.key for message in messages if message.role == "system"]
    best: tuple[int, Thread] | None = None
    for thread in threads:
        has = _spoken(each.message for each in thread.said)
        others = [each.message.key for each in thread.said if each.message.role == "system"]
        if system and others and not set(system) & set(others):
            continue
        shared = (wanted & has).total()
        if shared and 2 * shared >= min(wanted.total(), has.total()) and (best is None or shared >= best[0]):
            best = (shared, thread)
    if best is not None:
        return best[1]
    threads.append(Thread())
    return threads[-1]


def _spoken(messages: Iterable[Message]) -> Counter[str]:
    return Counter(message.key for message in messages if message.role != "system")


def _merge(thread: Thread, messages: Sequence[Message], span_id: str, at: int) -> None:
    """Put a history's new messages where they belong among those of the thread."""
    keys, known = [message.key for message in messages], thread.keys
    new = [Said(message, span_id, at) for message in messages]
    if keys[: len(known)] == known:
        thread.said += new[len(known) :]
        return
    if known[: len(keys)] == keys:
        return
    merged: list[Said] = []
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, known, keys, autojunk=False).get_opcodes():
        merged += thread.said[i1:i2]
        if tag in ("insert", "replace"):
            merged += new[j1:j2]
        thread.rewritten += tag == "replace"
    thread.said = merged


def _answer(thread: Thread, exchange: Exchange, at: int) -> None:
    """Add an answer that isn't there yet: an agent's own span repeats what its model calls brought."""
    messages = exchange.outputs.messages
    since = [each.message.key for each in thread.said if each.at >= exchange.start]
    unsaid = Counter(message.key for message in messages) - Counter(since)
    for message in messages:
        if unsaid[message.key] > 0:
            unsaid[message.key] -= 1
            thread.said.append(Said(message, exchange.span_id, at))
