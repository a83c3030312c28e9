"""A process of the pool from inside: reads a Work, answers with a Sample, until its input ends.

Three limits hold whatever an analyser does: the kernel ends the process when the time of a work is over, also when
the pool that should have done so is gone; it may take no more memory than it is given beyond what it begins with; and
a message that is longer than the pool accepts is not sent. It ends with its pool, also while it waits for a model.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import struct
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from collector_processor.analyse.analyser import Analyser, Clean
from collector_processor.analyse.examine import examine
from collector_processor.analyse.material import Work
from collector_processor.model.samples import Sample
from collector_processor.model.sampling import Facet

LENGTH: Final = struct.Struct(">I")
UP: Final = b""
"""The first message of a process: it is ready."""
ALARM_SECONDS: Final = 5.0
"""For so long after its time a process lives where nobody ended it."""

decode_work: Final = msgspec.msgpack.Decoder(Work).decode
decode_sample: Final = msgspec.msgpack.Decoder(Sample).decode
encode: Final = msgspec.msgpack.Encoder().encode


class Job(msgspec.Struct, frozen=True):
    """A work on its way to a process, with the time that it may take."""

    work: Work
    seconds: float


_decode_job: Final = msgspec.msgpack.Decoder(Job).decode


def serve(
    analysers: Mapping[Facet, Analyser],
    clean: Clean,
    *,
    max_bytes: int,
    memory_bytes: int,
    source: BinaryIO,
    sink: BinaryIO,
    alarm_seconds: float = ALARM_SECONDS,
) -> None:
    """Answer until the input ends; a work may take `alarm_seconds` longer than its time before the kernel steps in."""
    threading.Thread(target=_end_with, args=(source.fileno(),), daemon=True).start()
    _limit_memory(memory_bytes)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    write(sink, UP)
    while (message := read(source)) is not None:
        job = _decode_job(message)
        signal.setitimer(signal.ITIMER_REAL, job.seconds + alarm_seconds)
        sample = examine(job.work, analysers, clean, max_bytes)
        signal.setitimer(signal.ITIMER_REAL, 0)
        write(sink, encode(sample))


def read(source: BinaryIO) -> bytes | None:
    """Return the next message; None where the other side has ended."""
    head = source.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    body = source.read(length)
    return body if len(body) == length else None


def write(sink: BinaryIO, message: bytes) -> None:
    """Send a message."""
    sink.write(LENGTH.pack(len(message)) + message)
    sink.flush()


def _end_with(source: int) -> None:
    """End when nobody is left at the other end of the input: no answer is worth waiting for then."""
    waiting = select.poll()
    waiting.register(source, 0)  # its end alone, not what there is to read
    waiting.poll()
    os._exit(0)


def _limit_memory(allowed: int) -> None:
    """Allow so many bytes beyond what is mapped already. Where the kernel has no such limit (macOS), there is none."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold a task's texts
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        limit = pages * resource.getpagesize() + allowed
        with contextlib.suppress(ValueError):  # a lower limit is in force already
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
