"""A disk of a test's own, whose room it sets: a tmpfs. Where none can be mounted, the test is skipped and says so."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.processor import wait_until


class SmallDisk:
    """What is mounted at `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self) -> None:
        """Leave room for nothing more. Who writes meanwhile may have more by then than was asked for: once more."""
        wait_until(lambda: self._remount(self._used()).returncode == 0)

    def resize(self, size: int) -> None:
        """Have room for so many bytes in all, which is no less than what is there."""
        self._remount(size).check_returncode()

    def _used(self) -> int:
        found = os.statvfs(self.folder)
        return max(1, found.f_blocks - found.f_bfree) * found.f_frsize  # a size of 0 is no limit at all

    def _remount(self, size: int) -> subprocess.CompletedProcess[str]:
        command = ["mount", "-o", f"remount,size={size}", str(self.folder)]
        return subprocess.run(command, capture_output=True, text=True, check=False)


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
