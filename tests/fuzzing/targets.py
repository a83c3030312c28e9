"""What is fuzzed: whatever bytes one is given, it reads them or refuses them by an error of its own."""

from __future__ import annotations

import base64
import contextlib
import re
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID

from google.protobuf import json_format
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from support import journals
from support.lifecycle import ARRIVED, raw_task, span_id, usual_task, whole_task
from support.logs import evaluated, logs_payload

from collector_processor import fallback
from collector_processor.assemble import records, wire
from collector_processor.config import load
from collector_processor.convert.task import convert
from collector_processor.errors import (
    ConfigError,
    DamagedLineError,
    JournalError,
    MalformedRequestError,
    RequestTooLargeError,
)
from collector_processor.journal.reader import JournalReader
from collector_processor.model.facts import Ending
from collector_processor.model.stages import HEADER, Member, RawTask, SealedTask, SealKind, Signal, Split
from collector_processor.receive.endpoints import BY_PATH
from collector_processor.receive.otlp_json import to_protobuf
from collector_processor.sample import default_document, read_document

_REFUSED: Final = (MalformedRequestError, RequestTooLargeError)


class Target(NamedTuple):
    """`read` takes bytes and returns something true, or raises one of `refusals`; `seeds` are good inputs."""

    read: Callable[[bytes], object]
    refusals: tuple[type[Exception], ...]
    seeds: Sequence[bytes]

    def run(self, data: bytes) -> None:
        """Read it. Raises what shouldn't be."""
        with contextlib.suppress(*self.refusals):
            self.read(data)


def _convert(split: Split, signal: Signal) -> int:
    """Every fragment as a task of its own, the way a worker takes it; returns how many."""
    for fragment in split.fragments:
        positions = tuple(range(len(fragment.headers) // HEADER.size))
        member = Member(0, ARRIVED, positions)
        sealed = SealedTask(SealKind.TASK, fragment.trace_id, span_id(1), (member,), Ending.TASK_ENDED)
        part = (ARRIVED, fragment.payload, positions)
        convert(RawTask(sealed, [part]) if signal is Signal.TRACES else RawTask(sealed, [], [part]))
    return len(split.fragments)


def _traces(data: bytes) -> int:
    split = wire.split(data)
    assert [wire.headers(fragment.payload) for fragment in split.fragments] == [
        each.headers for each in split.fragments
    ]
    return _convert(split, Signal.TRACES)


def _logs(data: bytes) -> int:
    return _convert(records.split(data), Signal.LOGS)


def _traces_json(data: bytes) -> int:
    return _traces(to_protobuf(data, BY_PATH["/v1/traces"]))


def _logs_json(data: bytes) -> int:
    return _logs(to_protobuf(data, BY_PATH["/v1/logs"]))


def _configuration(data: bytes) -> object:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "processor.toml"
        file.write_bytes(data)
        return load({}, file)


def _policies(data: bytes) -> object:
    return read_document(data.decode(errors="replace"), "the document")


def _fallback_line(data: bytes) -> object:
    return fallback.converted_of(fallback.decode(data))


def _journal_row(data: bytes) -> bool:
    """A closed journal of which one row has another key or value, as `_changed_row` says: a start and a worker."""
    number, size = int.from_bytes(data[:2], "big"), int.from_bytes(data[2:3], "big")
    row = journals.rows()[number % len(journals.rows())]
    with journals.copied() as folder:
        journals.put_instead(folder, row, data[3 : 3 + size] or row.key, data[3 + size :])
        journals.start(folder)
        with closing(JournalReader(folder / journals.DATA.parent)) as reader:
            for each in journals.rows():
                if each.database == "seals":
                    reader.batch(UUID(bytes=each.key))
            reader.analyses(0, 100)
    return True


def _changed_row(number: int, key: bytes, value: bytes) -> bytes:
    return number.to_bytes(2, "big") + len(key).to_bytes(1, "big") + key + value


# -- Good inputs ----------------------------------------------------------------------------------


def _json_of(message: TracesData | LogsData) -> bytes:
    """OTLP/JSON, in which ids are hex."""
    text = json_format.MessageToJson(message, use_integers_for_enums=True)
    return _ID.sub(lambda found: f'{found[1]}"{base64.b64decode(found[2]).hex()}"', text).encode()


_ID: Final = re.compile(r'("(?:traceId|spanId|parentSpanId)": )"([^"]*)"')
_SPANS: Final = (usual_task(), whole_task())
_RECORDS: Final = (logs_payload([evaluated()]),)
_LINE: Final = fallback.encode(fallback.line_of(UUID(int=1), 0, convert(raw_task(whole_task()))))

_ROWS: Final = [
    _changed_row(number, row.key, row.value)
    for number, row in enumerate(journals.rows())
    if row.database in ("meta", "seals") or number % 10 == 0
]

TARGETS: Final = {
    "traces": Target(_traces, _REFUSED, _SPANS),
    "logs": Target(_logs, _REFUSED, _RECORDS),
    "traces_json": Target(_traces_json, _REFUSED, [_json_of(TracesData.FromString(body)) for body in _SPANS]),
    "logs_json": Target(_logs_json, _REFUSED, [_json_of(LogsData.FromString(body)) for body in _RECORDS]),
    "configuration": Target(_configuration, (ConfigError,), [b'grace = "1m"\nworkers = 2\nflush_interval = "50ms"\n']),
    "policies": Target(_policies, (ConfigError,), [default_document().encode()]),
    "journal_row": Target(_journal_row, (JournalError,), _ROWS),
    "fallback_line": Target(_fallback_line, (DamagedLineError,), [_LINE]),
}
