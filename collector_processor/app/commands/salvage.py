"""`journal check` and `journal export`: what a journal holds that no processor has open, and how to get it out.

An export is OTLP in JSON Lines, one request a line, which any OTLP endpoint takes (POST to /v1/traces and /v1/logs).
It holds what applications wrote, as they wrote it: in clear, readable by its owner alone.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final, NamedTuple, Self

import msgspec
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from collector_processor.assemble.request import extract
from collector_processor.config import Settings
from collector_processor.errors import JournalError
from collector_processor.journal.salvage import Salvage
from collector_processor.journal.walk import Found, Unreadable

PROBLEMS_TOLD: Final = 20
"""Of more of them only the number is told."""
FILES: Final = {False: "traces.jsonl", True: "logs.jsonl"}
"""By whether they hold log records."""
_IDS: Final = ("traceId", "spanId", "parentSpanId")


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What a journal holds. Spans count log records too, and `readable_spans` those of dead letters.

    `damage` is what is wrong with the file itself, `problems` what is with entries. `missing` open, sealed and
    analysed spans are in no entry, by the journal's own counters, which are None where they can't be read.
    """

    folder: str
    damage: str | None
    readable_spans: int
    unreadable_spans: int
    open_spans: int | None
    sealed_spans: int | None
    sealed_batches: int | None
    analysed_spans: int | None
    dead_letters: int | None
    undecodable_spans: int | None
    missing: int | None
    entries_in_trouble: int
    problems: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """Whether all of it is there and can be read."""
        return self.damage is None and not self.entries_in_trouble and not self.missing


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """How many spans and log records were written to which files; `unreadable` entries were not."""

    files: tuple[str, ...]
    spans: int
    log_records: int
    unreadable: int
    problems: tuple[str, ...]


def check(settings: Settings) -> Checked:
    """Read the whole journal, and change nothing. Raises JournalError: there is none, or a processor has it."""
    folder = settings.data_dir / "journal"
    with Salvage(folder) as salvage:
        damage, noted = salvage.damage(), salvage.overview()
        in_spans = readable = unreadable = 0
        problems: list[str] = []
        for each in salvage.found():
            if isinstance(each, Unreadable):
                problems.append(each.problem)
                unreadable += each.spans
                in_spans += each.spans if each.sequence else 0
            else:
                readable += len(each.positions)
                in_spans += len(each.positions) if each.sequence else 0
    counters = None if noted is None else noted.counters
    return Checked(
        folder=str(folder),
        damage=damage,
        readable_spans=readable,
        unreadable_spans=unreadable,
        open_spans=None if counters is None else counters.open,
        sealed_spans=None if counters is None else counters.sealed,
        sealed_batches=None if noted is None else noted.batches,
        analysed_spans=None if noted is None else noted.analysed,
        dead_letters=None if noted is None else noted.dead,
        undecodable_spans=None if noted is None else noted.undecodable,
        missing=None if noted is None else noted.counters.open + noted.counters.sealed + noted.analysed - in_spans,
        entries_in_trouble=len(problems),
        problems=tuple(problems[:PROBLEMS_TOLD]),
    )


def export(settings: Settings, target: Path) -> Exported:
    """Write what is readable to a folder, which is made; nothing there is overwritten.

    Raises:
        JournalError: there is no journal, a processor has it, or the folder can't be written.
    """
    spans = {False: 0, True: 0}
    problems: list[str] = []
    with Salvage(settings.data_dir / "journal") as salvage:
        salvage.overview()  # another format is refused before anything is written
        try:
            with _Files(target) as files:
                for each in salvage.found():
                    if isinstance(each, Unreadable):
                        problems.append(each.problem)
                        continue
                    for request in _requests(each):
                        if request.line is None:
                            problems.append(f"journal entry {each.sequence} holds a span that can't be decoded")
                            continue
                        files.write(request.line, logs=each.logs)
                        spans[each.logs] += request.spans
                files.sync()
        except OSError as error:
            raise JournalError(f"{error.filename or target} can't be written: {error.strerror}") from error
    return Exported(
        files=tuple(str(target / name) for name in FILES.values()),
        spans=spans[False],
        log_records=spans[True],
        unreadable=len(problems),
        problems=tuple(problems[:PROBLEMS_TOLD]),
    )


class _Files:
    """The files of an export, new and their owner's alone."""

    def __init__(self, target: Path) -> None:
        target.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._open: dict[bool, IO[bytes]] = {}
        for logs, name in FILES.items():
            descriptor = os.open(target / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            self._open[logs] = os.fdopen(descriptor, "wb")

    def write(self, line: bytes, *, logs: bool) -> None:
        self._open[logs].write(line + b"\n")

    def sync(self) -> None:
        for file in self._open.values():
            file.flush()
            os.fsync(file.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._open.values():
            file.close()


class _Line(NamedTuple):
    """One request in JSON, None where it can't be decoded, and how many spans it holds."""

    line: bytes | None
    spans: int


def _requests(found: Found) -> Iterator[_Line]:
    """What is left of an entry as one request; where a span can't be decoded, the others one by one."""
    payload = found.payload if found.whole else extract(found.payload, found.positions)
    whole = _as_json(payload, logs=found.logs)
    if whole is not None:
        yield _Line(whole, len(found.positions))
        return
    for position in found.positions:
        yield _Line(_as_json(extract(found.payload, (position,)), logs=found.logs), 1)


def _as_json(payload: bytes, *, logs: bool) -> bytes | None:
    """OTLP in JSON of a payload: as protobuf writes it, but for ids, which are hex."""
    try:
        message: Any = (LogsData if logs else TracesData).FromString(payload)
        document = json_format.MessageToDict(message, use_integers_for_enums=True)
    except (DecodeError, ValueError):
        return None
    for resource in document.get("resourceLogs" if logs else "resourceSpans", ()):
        for scope in resource.get("scopeLogs" if logs else "scopeSpans", ()):
            for entry in scope.get("logRecords" if logs else "spans", ()):
                for node in (entry, *entry.get("links", ())):
                    for name in _IDS:
                        if name in node:
                            node[name] = base64.b64decode(node[name]).hex()
    return msgspec.json.encode(document)
