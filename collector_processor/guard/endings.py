"""The end of a text that was cut: half a value is none that a pattern knows, so what may be half is left out.

The plugin and conversion both shorten texts to 2 kB, before anybody can look for what stands at the cut.
"""

from __future__ import annotations

import re
from typing import Final

CUT_BYTES: Final = 2045
"""From here on a text is taken for one that was cut: at 2048 bytes, perhaps within a character of four."""
KEPT_BYTES: Final = 1980
"""What is kept of it at most."""
ELLIPSIS: Final = "…"

_QUOTED: Final = 512
"""Characters that a value in quotes may have which is cut; a quotation mark further away opens none."""
_LAST: Final = re.compile(r"(?:[\d+(][\d ().+-]*)?\S{0,256}\Z")
"""A word, or groups of digits, that may go on behind the cut."""


def without_half(text: str) -> str:
    """Return a text without what may be half a value at its end; one that wasn't cut as it is."""
    if len(text) < CUT_BYTES // 4:
        return text
    encoded = text.encode(errors="surrogatepass")
    if len(encoded) < CUT_BYTES:
        return text
    kept = encoded[:KEPT_BYTES].decode(errors="ignore")
    last = _LAST.search(kept, max(0, len(kept) - 2 * _QUOTED))
    kept = kept[: last.start() if last else None]
    marks = kept.count('"') - kept.count('\\"')
    if marks % 2 and (opening := kept.rindex('"')) > len(kept) - _QUOTED:
        kept = kept[:opening]
    return kept.rstrip() + ELLIPSIS
