"""What can be read on the disk: every byte of every file below a folder."""

from __future__ import annotations

import os
from pathlib import Path


def holding(folder: Path, needle: bytes) -> set[str]:
    """Files below a folder that hold these bytes, by their path in it. Sockets and the like hold nothing."""
    files = (Path(parent) / name for parent, _, names in os.walk(folder) for name in names)
    return {str(file.relative_to(folder)) for file in files if file.is_file() and needle in file.read_bytes()}
