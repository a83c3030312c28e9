"""Files that are read again when they change: keys and tokens are rotated without a restart.

A file is looked at when its content is asked for, at most once in `interval` seconds. What can't be used leaves
what was read before in force, and says so.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Generic, TypeVar

from collector_processor.errors import ConfigError
from collector_processor.telemetry import get_logger
from collector_processor.telemetry.metrics import RELOADS

log = get_logger(__name__)

T = TypeVar("T")

INTERVAL: Final = 1.0
"""Seconds. A revoked token is still good for so long."""

_Stamp = tuple[tuple[int, int, int, int], ...]


class Watched(Generic[T]):
    """What `load` makes of some files. Any thread may ask.

    `what` names the setting in logs and metrics. `load` raises ConfigError where the files can't be used.

    Attributes:
        problem: why the files as they are now can't be used; None while they are.
    """

    def __init__(self, what: str, paths: Sequence[Path], load: Callable[[], T], *, interval: float = INTERVAL) -> None:
        self._what = what
        self._paths = tuple(paths)
        self._load = load
        self._interval = interval
        self._lock = threading.Lock()
        self.problem: str | None = None
        self._stamp = self._look()
        self._value = load()
        self._next = time.monotonic() + interval

    def current(self) -> T:
        """The content of the files, of the last time that it could be used."""
        with self._lock:
            now = time.monotonic()
            if now >= self._next:
                self._next = now + self._interval
                if (stamp := self._look()) != self._stamp:
                    self._reload(stamp)
            return self._value

    def _reload(self, stamp: _Stamp | None) -> None:
        try:
            value = self._load()
        except ConfigError as error:
            self._stamp, self.problem = stamp, f"{error}; what was read before stays in force"
            RELOADS.labels(self._what, "failed").inc()
            log.error(  # noqa: TRY400 - our own error says all
                "receive: a file that has changed can't be used", problem=self.problem
            )
            return
        if self._look() != stamp:
            return  # it is being written: what was read may be half of the old and half of the new
        self._stamp, self._value, self.problem = stamp, value, None
        RELOADS.labels(self._what, "ok").inc()
        log.info("receive: read anew", setting=self._what)

    def _look(self) -> _Stamp | None:
        """What tells one state of the files from another; None where one of them isn't there."""
        try:
            found = [os.stat(path) for path in self._paths]  # noqa: PTH116 - follows links, as reading does
        except OSError:
            return None
        return tuple((each.st_dev, each.st_ino, each.st_mtime_ns, each.st_size) for each in found)
