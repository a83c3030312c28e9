"""Whether gRPC's core may be forked: only while it has no threads, since a child has none of them and waits for them.

They end some milliseconds after the last channel of the process was closed. They are known by their names, which only
Linux shows; elsewhere a core that was once used counts as in use.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Final

_THREADS: Final = ("event_engine", "grpc_", "lifeguard", "timer_manager", "default-exec", "resolver-exec")
_TASKS: Final = Path("/proc/self/task")


def comes_to_rest(patience_s: float) -> bool:
    """Wait for the core's threads to end; False if some are left, which others' channels keep for ever."""
    deadline = time.monotonic() + patience_s
    while _has_threads():
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.001)
    return True


def _has_threads() -> bool:
    try:
        names = list(_TASKS.glob("*/comm"))
    except OSError:
        return True
    for name in names:
        with suppress(OSError):  # it has just ended
            if name.read_text().startswith(_THREADS):
                return True
    return not names
