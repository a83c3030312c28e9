"""What redaction leaves where nothing of a value may stay. It is alike for values that differ: nothing joins by it."""

from __future__ import annotations

import re
from typing import Final

WITHHELD: Final = re.compile(r"<WITHHELD:[a-z_]+>|/\[PATH\](?:/\[FILE\](?:\.\w+)?)?")
"""A withheld text or part of one, and a generalised path."""


def tells_apart(identifier: str) -> bool:
    """Whether an identifier is as it came, or a pseudonym: the same one means the same thing."""
    return WITHHELD.search(identifier) is None
