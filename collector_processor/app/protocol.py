"""What front and worker processes say to each other over a pipe: msgpack, each message after its length."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import Final
from uuid import UUID

import msgspec

from collector_processor.guard import GateSettings
from collector_processor.model.stages import Applied

_LENGTH: Final = struct.Struct(">I")


class Begin(msgspec.Struct, tag=True, frozen=True):
    """The first message to a worker: all it needs to know. It comes by pipe because it holds secrets."""

    name: str
    journal: str
    database_url: str
    tenant_key: bytes | None
    evaluator: str | None
    gates: GateSettings
    log_level: str
    log_format: str


class Apply(msgspec.Struct, tag=True, frozen=True):
    """Convert, guard and store this sealed batch."""

    batch_id: UUID


class JoinOrphans(msgspec.Struct, tag=True, frozen=True):
    """Look again whether waiting orphans have found their task."""


class Up(msgspec.Struct, tag=True, frozen=True):
    """The worker is connected to the database and its predecessor's session has ended."""


class Done(msgspec.Struct, tag=True, frozen=True):
    """The batch's ledger row; None where the batch is in the journal no longer."""

    batch_id: UUID
    applied: Applied | None
    seconds: dict[str, float]
    """Time by stage: read, convert (guard included), store."""


class OrphansJoined(msgspec.Struct, tag=True, frozen=True):
    """How many orphans found their task."""

    count: int


class Failed(msgspec.Struct, tag=True, frozen=True):
    """The work was not done, nothing of it is stored, and it may be asked for again."""

    error: str
    transient: bool


Request = Apply | JoinOrphans
Reply = Up | Done | OrphansJoined | Failed

_encode = msgspec.msgpack.Encoder().encode
decode_begin = msgspec.msgpack.Decoder(Begin).decode
decode_request: Callable[[bytes], Request] = msgspec.msgpack.Decoder(Request).decode
decode_reply: Callable[[bytes], Reply] = msgspec.msgpack.Decoder(Reply).decode


def frame(message: msgspec.Struct) -> bytes:
    """A message as it goes over the pipe."""
    body = _encode(message)
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
