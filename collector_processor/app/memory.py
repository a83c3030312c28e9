"""How often a process looks for garbage.

Both processes make many small objects that reference counting frees by itself, and the front keeps an index that
lives long; the collector's defaults would walk through all of it thousands of times a minute, for a tenth of the
CPU. What imports have made never becomes garbage.
"""

from __future__ import annotations

import gc


def collect_seldom() -> None:
    """Call it once, when a process has imported what it needs."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
