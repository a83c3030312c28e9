"""The OpenTelemetry Collector, made by its own builder of the parts that `collector.yaml` lists."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from servers.cache import Say
from servers.golang import Go
from servers.tools import run

_MANIFEST = Path(__file__).with_name("collector.yaml")
_BUILDER = "go.opentelemetry.io/collector/cmd/builder"

PROGRAM: Final = "otelcol"
"""Where the program lies in the recipe's folder."""


class CollectorRecipe:
    """Have the builder write a program of the listed parts, and compile it."""

    name = "collector"
    version = "0.158.0"
    subject = "the OpenTelemetry Collector, from Go modules by its builder; 3 to 8 minutes"

    @property
    def ingredients(self) -> Mapping[str, str]:
        """The list of parts."""
        return {"manifest": _MANIFEST.read_text(encoding="utf-8")}

    def make(self, folder: Path, say: Say) -> Mapping[str, str]:
        """Needs Go alone."""
        go = Go(say)
        say(f"building its builder with {go.version()}")
        go.install(f"{_BUILDER}@v{self.version}", folder)
        say("fetching the parts and compiling them")
        run([folder / "builder", "--config", _MANIFEST, "--ldflags=-s -w"], cwd=folder, environment=go.environment)
        (folder / "source" / PROGRAM).rename(folder / PROGRAM)
        shutil.rmtree(folder / "source")
        (folder / "builder").unlink()
        return {"go": go.version()}
