"""Jaeger: how it is made from its Go module, and one that runs."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from servers.cache import Say, UnavailableError
from servers.golang import Go
from servers.programs import free_ports, running

_MODULE = "github.com/jaegertracing/jaeger@v1.76.0"  # the tag that carries version 2.13 too
_CHECKSUM = "h1:sWCOOF1dr+NL0PLil7mFo3BqqQL8k4WiM7aguFbc14g="
_CONFIGURATION = Path(__file__).with_name("jaeger.yaml")
_TIMEOUT_SECONDS = 10

PROGRAM: Final = "jaeger"
"""Where the program lies in the recipe's folder."""


class JaegerRecipe:
    """Compile Jaeger as the main module, so that its own go.sum decides what it is made of; `go install` can't."""

    name = "jaeger"
    version = "2.13.0"
    subject = "Jaeger, from its Go module, without its web page; 3 to 10 minutes"
    ingredients: Mapping[str, str] = {"module": _MODULE, "checksum": _CHECKSUM}

    def make(self, folder: Path, say: Say) -> Mapping[str, str]:
        """Needs Go alone."""
        go = Go(say)
        say(f"fetching {_MODULE}")
        module = go.download(_MODULE)
        if module.checksum != _CHECKSUM:
            raise UnavailableError(f"{_MODULE} has the checksum {module.checksum} and should have {_CHECKSUM}")
        say(f"compiling it with {go.version()}")
        go.build(module.source, "./cmd/jaeger", folder / PROGRAM)
        return {"go": go.version()}


@dataclass(frozen=True)
class Jaeger:
    """A running Jaeger that keeps traces in memory."""

    otlp_grpc: str
    """host:port"""
    otlp_http: str
    """host:port"""
    query: str
    """Base URL of the query API."""

    def trace(self, trace_id: str) -> dict[str, Any] | None:
        """A trace by its id in hex, as `/api/traces/{id}` gives it (`spans`, `processes`); None while there is none."""
        try:
            answer = json.loads(_get(f"{self.query}/api/traces/{trace_id}"))
        except urllib.error.HTTPError as error:
            if error.code == HTTPStatus.NOT_FOUND:
                return None
            raise
        [trace] = answer["data"]
        return dict(trace)


@contextmanager
def running_jaeger(program: Path, folder: Path) -> Iterator[Jaeger]:
    """A Jaeger on free ports, for a block; its log goes into `folder`."""
    otlp_grpc, otlp_http, query, query_grpc, health = free_ports(5)
    environment = {
        "JAEGER_OTLP_GRPC": str(otlp_grpc),
        "JAEGER_OTLP_HTTP": str(otlp_http),
        "JAEGER_QUERY_HTTP": str(query),
        "JAEGER_QUERY_GRPC": str(query_grpc),
        "JAEGER_HEALTH": str(health),
        # Its own spans would go to whoever listens on port 4317.
        "OTEL_TRACES_SAMPLER": "always_off",
    }
    command: list[str | Path] = [program, "--config", f"file:{_CONFIGURATION}"]
    healthy = f"http://127.0.0.1:{health}/status"
    with running(command, ready=lambda: bool(_get(healthy)), log=folder / "jaeger.log", environment=environment):
        yield Jaeger(f"127.0.0.1:{otlp_grpc}", f"127.0.0.1:{otlp_http}", f"http://127.0.0.1:{query}")


def _get(url: str) -> bytes:
    """What is there; an OSError where nothing is, or the answer isn't 200."""
    with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as answer:
        return bytes(answer.read())
