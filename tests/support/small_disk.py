"""A disk of a test's own, whose room it sets: a tmpfs. Where none can be mounted, the test is skipped and says so."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class SmallDisk:
    """What is mounted at `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self) -> None:
        """Leave room for nothing more."""
        found = os.statvfs(self.folder)
        self.resize((found.f_blocks - found.f_bfree) * found.f_frsize)

    def resize(self, size: int) -> None:
        """Have room for so many bytes in all."""
        subprocess.run(["mount", "-o", f"remount,size={size}", str(self.folder)], check=True)


@contextmanager
def small_disk(folder: Path, size: int, *, mode: str = "0700") -> Iterator[SmallDisk]:
    """Mount one of `size` bytes at a folder, which is there, for a block."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode={mode}", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no small disk can be mounted here: there is no command `mount`")
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", str(folder)], check=True)
