"""What the front and its processes say to each other over pipes: msgpack, each message after its length.

Workers answer one request after the other. The forwarder is told what happens, and answers when it has something to
say: the front never waits for it for long. Analysts get one work after the other from their pool.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import Final
from uuid import UUID

import msgspec

from collector_processor.analyse.endpoint import Endpoint
from collector_processor.convert import FoldSettings
from collector_processor.errors import Trouble
from collector_processor.fallback import Block
from collector_processor.forward.tally import Drop
from collector_processor.guard import GateSettings
from collector_processor.model.sampling import SamplingState
from collector_processor.model.stages import Applied, Keep, PrivacyKeys, Redactions, SealedTask

_LENGTH: Final = struct.Struct(">I")


class Begin(msgspec.Struct, tag=True, frozen=True):
    """The first message to a worker: all it needs to know. It comes by pipe because it holds secrets.

    `database_url` is empty where the database isn't known yet: then it is asked for the fallback's lines alone.
    """

    name: str
    journal: str
    database_url: str
    tenant_key: bytes | None
    privacy_keys: PrivacyKeys | None
    fold: FoldSettings
    gates: GateSettings
    database_timeout: float
    patience: float
    """Seconds after which a worker that has not answered is ended."""
    policies: str
    """Of sampling, as a TOML document that the front has checked."""
    judging: bool
    """Whether there is a judge that deep facets may be kept for."""
    log_level: str
    log_format: str


class Apply(msgspec.Struct, tag=True, frozen=True):
    """Convert, guard and store this sealed batch, which was tried in vain so many times before.

    With `look`, only if the database has it already: else it is Unapplied, and nothing is done.
    """

    batch_id: UUID
    tries: int = 0
    look: bool = False


class JoinOrphans(msgspec.Struct, tag=True, frozen=True):
    """Look again whether waiting orphans have found their task."""


class Spill(msgspec.Struct, tag=True, frozen=True):
    """Convert and guard this sealed batch for the fallback; the database isn't asked."""

    batch_id: UUID


class Import(msgspec.Struct, tag=True, frozen=True):
    """Store the lines of a block that are of a batch and at these places, under a ledger row of `batch_id`.

    `look` as in Apply.
    """

    batch_id: UUID
    folder: str
    block: Block
    source: UUID
    places: tuple[int, ...]
    sampling: SamplingState
    tries: int = 0
    look: bool = False


class Up(msgspec.Struct, tag=True, frozen=True):
    """The worker takes requests. Before its first words to the database it ends its predecessor's session there."""


class Done(msgspec.Struct, tag=True, frozen=True):
    """The batch's ledger row; None where the batch is in the journal no longer."""

    batch_id: UUID
    applied: Applied | None
    seconds: dict[str, float]
    """Time by stage: read, convert (guard included), store."""
    redactions: Redactions


class SpilledLine(msgspec.Struct, frozen=True, array_like=True):
    """A task's line, where in its batch it stands, and what it is counted for."""

    place: int
    spans: int
    tasks: int
    raw: bytes


class Prepared(msgspec.Struct, tag=True, frozen=True):
    """A batch's lines, and in `left` what is in none of them. None of all where it is in the journal no longer."""

    batch_id: UUID
    lines: tuple[SpilledLine, ...]
    left: Applied | None
    redactions: Redactions


class RefusedLine(msgspec.Struct, frozen=True, array_like=True):
    """A line that the database refused, with the spans that are counted for it."""

    place: int
    task: SealedTask
    spans: int
    error: str
    raw: bytes


class Imported(msgspec.Struct, tag=True, frozen=True):
    """A batch's ledger row, and the places whose lines were damaged or refused.

    `problem` says why the file can't be read now: then nothing was done.
    """

    batch_id: UUID
    applied: Applied
    damaged: tuple[int, ...]
    refused: tuple[RefusedLine, ...]
    problem: str | None = None


class Unapplied(msgspec.Struct, tag=True, frozen=True):
    """The database was asked for this batch, and hasn't got it."""

    batch_id: UUID


class OrphansJoined(msgspec.Struct, tag=True, frozen=True):
    """How many orphans found their task."""

    count: int


class Failed(msgspec.Struct, tag=True, frozen=True):
    """The work was not done, nothing of it is stored, and it may be asked for again."""

    error: str
    trouble: Trouble


# -- Forwarder ---------------------------------------------------------------------------------------------


class BeginForwarding(msgspec.Struct, tag=True, frozen=True):
    """The first message to the forwarder: all it needs to know."""

    name: str
    journal: str
    database_url: str
    tenant_key: bytes | None
    privacy_keys: PrivacyKeys | None
    endpoint: str
    protocol: str
    headers: dict[str, str]
    ca_file: str | None
    cert_file: str | None
    key_file: str | None
    ratio: float
    keep: Keep
    queue_bytes: int
    log_level: str
    log_format: str


class Take(msgspec.Struct, tag=True, frozen=True):
    """A worker begins to store this batch, of so many spans: read it now, it leaves the journal soon."""

    batch_id: UUID
    spans: int


class BatchStored(msgspec.Struct, tag=True, frozen=True):
    """The batch is stored: the database knows how its records stand."""

    batch_id: UUID


class Departed(msgspec.Struct, tag=True, frozen=True):
    """Foreign spans beside a trace's tasks have left the journal (see model.stages.Departure)."""

    trace_id: bytes
    payload: bytes
    positions: tuple[int, ...]


class Finish(msgspec.Struct, tag=True, frozen=True):
    """Send what waits within so many seconds, give account of the rest, and end."""

    seconds: float


class Taken(msgspec.Struct, tag=True, frozen=True):
    """The forwarder needs this batch in the journal no longer."""

    batch_id: UUID


class Account(msgspec.Struct, tag=True, frozen=True):
    """What became of all spans so far, what is held, and why the backend takes nothing, if so.

    `redactions` is what the privacy pass did since the account before.
    """

    sent: int
    sampled: int
    dropped: dict[Drop, int]
    waiting_bytes: int
    problem: str | None
    redactions: Redactions = Redactions()


# -- Analysts ----------------------------------------------------------------------------------------------


class BeginAnalysis(msgspec.Struct, tag=True, frozen=True):
    """The first message to an analyst: all it needs to know. What follows is the pool's (`analyse.process`)."""

    tenant_key: bytes | None
    privacy_keys: PrivacyKeys | None
    judge: Endpoint | None
    rubric: str
    votes: int
    reflection: Endpoint | None
    reflection_prompt: str
    max_bytes: int
    memory_bytes: int
    log_level: str
    log_format: str


Request = Apply | JoinOrphans | Spill | Import
Reply = Up | Done | Unapplied | Prepared | Imported | OrphansJoined | Failed
Notice = Take | BatchStored | Departed | Finish
Word = Up | Taken | Account | Failed

encode = msgspec.msgpack.Encoder().encode
decode_begin = msgspec.msgpack.Decoder(Begin).decode
decode_request: Callable[[bytes], Request] = msgspec.msgpack.Decoder(Request).decode
decode_reply: Callable[[bytes], Reply] = msgspec.msgpack.Decoder(Reply).decode
decode_begin_forwarding = msgspec.msgpack.Decoder(BeginForwarding).decode
decode_notice: Callable[[bytes], Notice] = msgspec.msgpack.Decoder(Notice).decode
decode_begin_analysis = msgspec.msgpack.Decoder(BeginAnalysis).decode
decode_word: Callable[[bytes], Word] = msgspec.msgpack.Decoder(Word).decode


def frame(message: msgspec.Struct) -> bytes:
    """A message as it goes over the pipe."""
    body = encode(message)
    return _LENGTH.pack(len(body)) + body


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    """The next message's bytes.

    Raises:
        EOFError: the other side has ended.
    """
    try:
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        return await reader.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise EOFError from error
