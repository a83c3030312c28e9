"""Where servers for tests lie, and how each gets there: once, whole or not at all.

~/.cache/otel-benchmark/             $XDG_CACHE_HOME/otel-benchmark where that is set
  collector-0.158.0/                 what a recipe made
    stamp.json                       what it was made from
  collector-0.158.0.lock             held while somebody makes it
  collector-0.158.0.unfinished-xyz/  of one who is making it, or was killed; the next one removes it
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

Say = Callable[[str], None]
"""Takes a line of progress for a person."""

_STAMP = "stamp.json"


class UnavailableError(Exception):
    """A server that this machine doesn't have; the message says why, and how to get it."""


class Recipe(Protocol):
    """How one server, or a tool that servers need, is made."""

    @property
    def name(self) -> str:
        """Its name on the command line and in the cache."""

    @property
    def version(self) -> str:
        """Its version; each has a folder of its own."""

    @property
    def subject(self) -> str:
        """What it is, where it comes from and what it costs, in a line."""

    @property
    def ingredients(self) -> Mapping[str, str]:
        """What else decides what comes out (a manifest, a hash): made anew when it changes."""

    def make(self, folder: Path, say: Say) -> Mapping[str, str]:
        """Make it in an empty folder, which has another path afterwards; returns versions worth remembering.

        Raises:
            UnavailableError: this machine lacks a tool, or a step failed.
        """


class Cache:
    """A folder of what recipes made. Any number of processes may use it at once."""

    def __init__(self, root: Path) -> None:
        """Nothing is touched before something is made."""
        self.root = root

    def find(self, recipe: Recipe) -> Path:
        """The folder of what `recipe` made; UnavailableError if it isn't there, or was made from something else."""
        folder = self._folder(recipe)
        if not _is_current(folder, recipe):
            state = "was made from something else" if folder.exists() else "isn't on this machine yet"
            raise UnavailableError(f"{recipe.name} {recipe.version} {state}: make servers")
        return folder

    def provide(self, recipe: Recipe, say: Say) -> Path:
        """The folder of what `recipe` made, made now where it must be. Waits for another one who is making it.

        Raises:
            UnavailableError: it can't be made here.
        """
        folder = self._folder(recipe)
        self.root.mkdir(parents=True, exist_ok=True)
        with self._held(recipe, say):
            if not _is_current(folder, recipe):
                self._make(recipe, folder, say)
        return folder

    def _make(self, recipe: Recipe, folder: Path, say: Say) -> None:
        for unfinished in self.root.glob(f"{folder.name}.unfinished-*"):
            shutil.rmtree(unfinished)
        unfinished = Path(tempfile.mkdtemp(prefix=f"{folder.name}.unfinished-", dir=self.root))
        try:
            made = unfinished / "made"
            made.mkdir()
            found = recipe.make(made, say)
            (made / _STAMP).write_text(json.dumps({**_origin(recipe), "found": dict(found)}, indent=1) + "\n")
            if folder.exists():
                folder.rename(unfinished / "former")
            made.rename(folder)
        finally:
            shutil.rmtree(unfinished)

    @contextmanager
    def _held(self, recipe: Recipe, say: Say) -> Iterator[None]:
        """Hold the recipe's lock, which the kernel takes back from one who is killed."""
        path = self._folder(recipe).with_name(f"{self._folder(recipe).name}.lock")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say(f"waiting for another process that is making {recipe.name}")
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _folder(self, recipe: Recipe) -> Path:
        return self.root / f"{recipe.name}-{recipe.version}"


def user_cache() -> Cache:
    """The cache of this user."""
    return Cache(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "otel-benchmark")


def stamp(folder: Path) -> Mapping[str, object]:
    """What a folder says of itself: `name`, `version`, `ingredients`, `found`; empty where it says nothing."""
    try:
        written: Mapping[str, object] = json.loads((folder / _STAMP).read_bytes())
    except FileNotFoundError:
        return {}
    return written


def _is_current(folder: Path, recipe: Recipe) -> bool:
    return {name: value for name, value in stamp(folder).items() if name != "found"} == _origin(recipe)


def _origin(recipe: Recipe) -> dict[str, object]:
    return {"name": recipe.name, "version": recipe.version, "ingredients": dict(recipe.ingredients)}
