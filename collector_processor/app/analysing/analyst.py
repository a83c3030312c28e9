"""An analyst process: looks deeply at one task after the other, with the privacy pass of the workers.

It is started, limited and replaced by the pool (`analysts`), speaks with it over standard input and output, and ends
when its input does. What is heavy to import, grammars of programming languages above all, is imported here alone.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from collector_processor.analyse import Analyser, Clean, Cleaned, process
from collector_processor.analyse.chat import Chat
from collector_processor.analyse.conversation import ConversationAnalyser
from collector_processor.analyse.judge import Judge
from collector_processor.analyse.reflection import ReflectionAnalyser
from collector_processor.analyse.syntax import SyntaxAnalyser
from collector_processor.app.memory import give_back
from collector_processor.app.privacy import protector_of
from collector_processor.app.protocol import BeginAnalysis, decode_begin_analysis
from collector_processor.config import Settings
from collector_processor.errors import BenchmarkError
from collector_processor.guard import Protector
from collector_processor.guard.privacy import Text
from collector_processor.model.sampling import Facet
from collector_processor.telemetry import configure, get_logger

log = get_logger(__name__)

COMMAND: Final = (sys.executable, "-m", "collector_processor.app.analysing.analyst")
"""Starts one."""


def cleaner(protector: Protector) -> Clean:
    """The privacy pass as analysers take it."""

    def clean(texts: Sequence[tuple[str, str]], tenant: str | None) -> Cleaned:
        redacted = protector.redact([Text(key, value) for key, value in texts], tenant)
        return Cleaned(redacted.values, frozenset(each.number for each in redacted.withheld))

    return clean


def analysers_of(begin: BeginAnalysis) -> Mapping[Facet, Analyser]:
    """The analysers that can do something: without an endpoint there is no judge."""
    asked = Chat(begin.reflection) if begin.reflection is not None else None
    analysers: list[Analyser] = [
        ConversationAnalyser(),
        SyntaxAnalyser(),
        ReflectionAnalyser(asked, begin.reflection_prompt),
    ]
    if begin.judge is not None:
        analysers.append(Judge(Chat(begin.judge), begin.rubric, begin.votes))
    return {analyser.facet: analyser for analyser in analysers}


def main() -> None:
    """Entry point of `python -m collector_processor.app.analysing.analyst`."""
    # Ctrl-C reaches the whole process group of a terminal; the pool decides when an analyst ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # a stray print must not break the protocol
    message = process.read(source)
    if message is None:
        return
    begin = decode_begin_analysis(message)
    configure(Settings(log_level=begin.log_level, log_format=begin.log_format))
    try:
        clean = cleaner(protector_of(begin.tenant_key, begin.privacy_keys))
    except BenchmarkError as error:
        log.error("analyst: can't begin", error=str(error))  # noqa: TRY400  # its message says it all
        sys.exit(1)
    clean([("", "warm")], None)  # engines are made at their first use: before memory is limited and time is counted
    give_back()
    try:
        process.serve(
            analysers_of(begin),
            clean,
            max_bytes=begin.max_bytes,
            memory_bytes=begin.memory_bytes,
            source=source,
            sink=sink,
        )
    except BrokenPipeError:
        os._exit(0)  # the pool has ended; there is nobody to tell and nothing to save


if __name__ == "__main__":
    main()
