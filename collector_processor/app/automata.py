"""Compiled automata of the privacy pass, kept in the user's cache: to make them takes half a second of each process.

A file is used only where nobody else can have written it, because an automaton is run as it is. Whatever is wrong
with a file or the folder, the automaton is compiled as if there were none.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Final

import platformdirs

KEPT: Final = 4
"""So many files stay, the newest: expressions and engines change seldom."""


class Automata:
    """Files in a folder, by default in the user's cache; one for each name."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or platformdirs.user_cache_path("otel-benchmark", appauthor=False) / "automata"

    def get(self, name: str) -> bytes | None:
        """Return what was put; None where nothing is there, or somebody else can write it or its folder."""
        try:
            for path in (self._folder, self._folder / name):
                stat = path.lstat()
                if stat.st_uid != os.geteuid() or stat.st_mode & 0o022:
                    return None
            return (self._folder / name).read_bytes()
        except OSError:
            return None

    def put(self, name: str, content: bytes) -> None:
        """Keep it for other processes, where that can be done."""
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Whole or not at all, whoever else writes it at the same time.
            descriptor, part = tempfile.mkstemp(dir=self._folder)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            Path(part).replace(self._folder / name)
            for old in sorted(self._folder.iterdir(), key=lambda path: path.stat().st_mtime)[:-KEPT]:
                old.unlink(missing_ok=True)
