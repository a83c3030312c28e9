"""Policies of deep samples at work: what the front remembers for them, and how a worker decides by them.

What policies know stands in the journal and moves in the transactions that complete batches; each seal takes a copy
along. So a batch that is applied again, by whomever, is decided alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from collector_processor.config import Settings
from collector_processor.errors import ConfigError
from collector_processor.journal.transaction import Transaction
from collector_processor.model.record import BenchmarkDataPoint
from collector_processor.model.sampling import Admitted, Facet, SamplingMemory, SamplingState, Tally
from collector_processor.model.stages import Choose, Chosen
from collector_processor.sample import Sampler, SamplingConfig, admit, advance, default_document, read_document, total
from collector_processor.sample import with_decision as decided

_NOTE: Final = "sampling"


class Document(NamedTuple):
    """Policies as they were written, what they are called, and what was read of them."""

    text: str
    name: str
    config: SamplingConfig


def document_of(settings: Settings, file: Path | None = None) -> Document:
    """Read the policies of a file; without one those in force: the setting's, else the ones that come along.

    Raises ConfigError.
    """
    file = file or settings.sampling
    if file is None:
        text, name = default_document(), "the default policies"
    else:
        name = str(file)
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
            raise ConfigError(f"{name} can't be read: {reason}") from None
    return Document(text, name, read_document(text, name))


def possible(config: SamplingConfig, *, judging: bool) -> SamplingConfig:
    """The policies of facets that somebody can compute: without a judge none of its own."""
    policies = [policy for policy in config.policies if judging or policy.facet is not Facet.JUDGE]
    return config._replace(policies=tuple(policies))


class _Note(msgspec.Struct, frozen=True, array_like=True):
    memory: SamplingMemory = SamplingMemory()
    admitted: Admitted = Admitted()


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Note).decode


class Policies:
    """What the front does for sampling, each time in a transaction of the journal."""

    def __init__(self, config: SamplingConfig) -> None:
        self._config = config

    def learn(self, transaction: Transaction, tallies: Iterable[Tally], now: int) -> None:
        """Take in what a batch, or analyses, have to tell; `now` in ns."""
        if told := [tally for tally in tallies if tally != Tally()]:
            note = _note(transaction)
            memory = advance(note.memory, told, self._config, now)
            transaction.note(_NOTE, _encode(_Note(memory, note.admitted)))

    def admit(self, transaction: Transaction, facet: Facet, now: int) -> bool:
        """Whether one more analysis is below the hour's cap, and count it."""
        note = _note(transaction)
        admitted = admit(note.admitted, facet, self._config.caps, now)
        if admitted is None:
            return False
        if admitted is not note.admitted:
            transaction.note(_NOTE, _encode(_Note(note.memory, admitted)))
        return True


def state_of(transaction: Transaction) -> SamplingState:
    """What is sealed into a batch now."""
    return _note(transaction).memory.state


def _note(transaction: Transaction) -> _Note:
    stored = transaction.recall(_NOTE)
    return _Note() if stored is None else _decode(stored)


class Choosing:
    """How a worker's store has deep facets chosen (see model.stages.Sampling)."""

    def __init__(self, config: SamplingConfig) -> None:
        self._sampler = Sampler(config)

    def choosing(self, state: SamplingState) -> Choose:
        """Decide by what the policies knew when a batch was sealed."""
        return partial(self._choose, state)

    def _choose(self, state: SamplingState, point: BenchmarkDataPoint, earlier: BenchmarkDataPoint | None) -> Chosen:
        decision = self._sampler.decide(point, state)
        tally = self._sampler.tally(point, decision, state, earlier)
        return Chosen(decided(point, decision), decision.added, tally)

    @staticmethod
    def total(tallies: Iterable[Tally]) -> Tally:
        """Add up what policies learn."""
        return total(tallies)
