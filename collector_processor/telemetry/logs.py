"""Structured logs on stderr: for people on a terminal, one JSON object a line elsewhere.

Libraries that log through the standard library (the HTTP server, gRPC, the connection pool) come out in the same
form. An exception is logged with where it was raised. Locals never are, nor the message of an error that is not
ours: they may hold what an application sent.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from typing import TYPE_CHECKING, Final, Protocol, TextIO

from collector_processor.errors import told
from collector_processor.telemetry.lean import structlog

if TYPE_CHECKING:
    from structlog.typing import ExcInfo, Processor

_LIBRARIES: Final = {"uvicorn": logging.WARNING, "grpc": logging.WARNING, "psycopg": logging.ERROR}
"""Least level of libraries whose everyday messages say nothing that ours don't."""

_SHARED: Final[list[Processor]] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.ExtraAdder(),
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]


class LogSettings(Protocol):
    """The part of the settings that logs need."""

    @property
    def log_level(self) -> str:
        """`debug`, `info`, `warning` or `error`."""

    @property
    def log_format(self) -> str:
        """`console`, `json`, or `auto`: console on a terminal."""


def configure(settings: LogSettings, stream: TextIO | None = None) -> None:
    """Send all logs of this process to `stream` (stderr). Call it once, first thing, in every process."""
    target = stream or sys.stderr
    for_people = settings.log_format == "console" or (settings.log_format == "auto" and target.isatty())
    rendering: list[Processor]
    if for_people:
        colors = target.isatty() and "NO_COLOR" not in os.environ
        rendering = [
            structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=_write_traceback),
        ]
    else:
        rendering = [
            structlog.processors.ExceptionRenderer(lambda exc_info: _traceback(exc_info[1])),
            structlog.processors.JSONRenderer(),
        ]
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
            foreign_pre_chain=_SHARED,
        )
    )
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name, least in _LIBRARIES.items():
        logging.getLogger(name).setLevel(max(level, least))
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of one module: a sentence first, then what it is about (`log.info("sealed", tasks=3)`)."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def _write_traceback(stream: TextIO, exc_info: ExcInfo) -> None:
    stream.write("\n" + _traceback(exc_info[1]))


def _traceback(error: BaseException) -> str:
    """Where an error and those before it were raised, with what may be said of each."""
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    parts = []
    for each in reversed(chain):
        name, words = type(each).__name__, told(each)
        summary = words if words.startswith(name) else f"{name}: {words}"
        parts.append("".join(traceback.format_tb(each.__traceback__)) + summary)
    return "\n".join(parts)
