"""How a process keeps its memory: when it looks for garbage, and what it gives back to the system.

All processes make many small objects that reference counting frees by itself, and the front keeps an index that lives
long; the collector's defaults would walk through all of it thousands of times a minute, for a tenth of the CPU. What
imports have made never becomes garbage.

glibc keeps what is freed: an arena for each thread, each with holes of its own. One arena is enough where the
interpreter's lock lets one thread work at a time. Other systems have none of this.
"""

from __future__ import annotations

import ctypes
import gc
from typing import Final

_M_ARENA_MAX: Final = -8
"""As in glibc's malloc.h."""


def be_sparing() -> None:
    """Call it once, when a process has imported what it needs, and before it starts threads."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    mallopt = getattr(_libc(), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)


def give_back() -> None:
    """Give the system back what has been freed; some milliseconds, during which other threads run."""
    malloc_trim = getattr(_libc(), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)
