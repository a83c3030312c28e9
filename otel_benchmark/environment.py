"""Every `OTEL_BENCHMARK_*` variable, read once into one frozen Settings.

The plugin is a guest: a wrong value costs one warning and a safe default, never an exception in the host.
Standard `OTEL_*` variables keep their meaning and are read by the SDK; the one that is read here as well is the
GenAI opt-in for message content.
"""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from otel_benchmark.attributes import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

logger = logging.getLogger(__name__)

PREFIX: Final = "OTEL_BENCHMARK_"
CAPTURE_CONTENT: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
TARGETS: Final[Mapping[Kind, str]] = MappingProxyType(
    {
        Kind.TASK: PREFIX + "TASK",
        Kind.ROUTE: PREFIX + "ROUTE",
        Kind.EXECUTION: PREFIX + "EXECUTE",
        Kind.TOOL_CALL: PREFIX + "TOOL",
        Kind.EVALUATION: PREFIX + "EVALUATE",
    }
)
"""Which variable names the callables of which lifecycle span."""
MAPPING: Final = PREFIX + "MAPPING"
TENANT_KEY: Final = PREFIX + "TENANT_KEY"
ENDPOINT: Final = PREFIX + "ENDPOINT"
HEADERS: Final = PREFIX + "HEADERS"
PROTOCOL: Final = PREFIX + "PROTOCOL"
QUEUE_BYTES: Final = PREFIX + "QUEUE_BYTES"

PROTOCOLS: Final = ("grpc", "http/protobuf")
_KNOWN: Final = frozenset({*TARGETS.values(), MAPPING, TENANT_KEY, ENDPOINT, HEADERS, PROTOCOL, QUEUE_BYTES})
_UNITS: Final[Mapping[str, int]] = MappingProxyType({"": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30})
_DEFAULT_QUEUE_BYTES: Final = 64 << 20
_LEAST_QUEUE_BYTES: Final = 1 << 20
_CONTENT_ON: Final = frozenset({"true", "1", "span_only", "span_and_event"})
_CONTENT_OFF: Final = frozenset({"", "false", "0", "no_content", "event_only"})


@dataclass(frozen=True, slots=True)
class Target:
    """A callable that the environment names: `package.module:function` or `package.module:Class.method`."""

    kind: Kind
    module: str
    path: str

    def __str__(self) -> str:
        return f"{self.module}:{self.path}"


@dataclass(frozen=True, slots=True)
class Settings:
    """What the operator configured. The defaults are those of an empty environment."""

    targets: tuple[Target, ...] = ()
    mapping: Path | None = None
    tenant_key: bytes | None = field(default=None, repr=False)
    capture_content: bool = False
    endpoint: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    protocol: str = "http/protobuf"
    queue_bytes: int = _DEFAULT_QUEUE_BYTES

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Read the variables; each wrong value is one warning that names the variable and what it allows."""
        for name in sorted(environ):
            if name.startswith(PREFIX) and name not in _KNOWN and not name.startswith(PREFIX + "TEST_"):
                logger.warning("%s is not a variable of the plugin and is ignored; known are %s", name, _names())
        endpoint = _endpoint(environ.get(ENDPOINT, "").strip())
        return cls(
            targets=tuple(target for kind, name in TARGETS.items() for target in _targets(kind, name, environ)),
            mapping=Path(path) if (path := environ.get(MAPPING, "").strip()) else None,
            tenant_key=environ.get(TENANT_KEY, "").encode() or None,
            capture_content=_capture_content(environ.get(CAPTURE_CONTENT, "")),
            endpoint=endpoint,
            headers=_headers(environ.get(HEADERS, "")),
            protocol=_protocol(environ.get(PROTOCOL, "").strip().lower(), endpoint),
            queue_bytes=_queue_bytes(environ.get(QUEUE_BYTES, "").strip()),
        )


def _names() -> str:
    return ", ".join(sorted(_KNOWN))


def _targets(kind: Kind, name: str, environ: Mapping[str, str]) -> list[Target]:
    targets: list[Target] = []
    for entry in environ.get(name, "").split(","):
        text = entry.strip()
        if not text:
            continue
        module, colon, path = text.partition(":")
        words = [*module.split("."), *path.split(".")]
        if not colon or not all(word.isidentifier() for word in words):
            logger.warning(
                "%s: %r is no target; write package.module:function or package.module:Class.method", name, text
            )
        elif (target := Target(kind, module, path)) not in targets:
            targets.append(target)
    return targets


def _capture_content(text: str) -> bool:
    value = text.strip().lower()
    if value in _CONTENT_ON:
        return True
    if value not in _CONTENT_OFF:
        logger.warning("%s=%s is not known (true, false); no content is recorded", CAPTURE_CONTENT, text)
    return False


def _endpoint(text: str) -> str | None:
    if not text:
        return None
    try:
        parts = urlsplit(text)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        valid = False
    if not valid:
        logger.warning("%s: %r is no URL such as http://127.0.0.1:4318; nothing is sent there", ENDPOINT, text)
        return None
    return text


def without_credentials(url: str) -> str:
    """Return a URL as it may be logged."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _headers(text: str) -> dict[str, str]:
    headers: dict[str, str] = {}
    for pair in text.split(","):
        if not pair.strip():
            continue
        name, equals, value = pair.partition("=")
        if equals and name.strip():
            headers[unquote(name.strip()).lower()] = unquote(value.strip())
        else:
            # The value may be a credential, so it is not repeated.
            logger.warning("%s: an entry without name=value is ignored", HEADERS)
    return headers


def _protocol(text: str, endpoint: str | None) -> str:
    if text in PROTOCOLS:
        return text
    if text:
        logger.warning("%s=%s is not known (%s)", PROTOCOL, text, ", ".join(PROTOCOLS))
    return "grpc" if endpoint and urlsplit(endpoint).port == 4317 else "http/protobuf"


def _queue_bytes(text: str) -> int:
    if not text:
        return _DEFAULT_QUEUE_BYTES
    found = re.fullmatch(r"([0-9]+) *(|[KMG]iB)", text, re.ASCII | re.IGNORECASE)
    size = int(found[1]) * _UNITS[found[2].lower()] if found else 0
    if size < _LEAST_QUEUE_BYTES:
        logger.warning("%s=%s is no size of 1MiB or more, such as 256MiB; 64MiB is taken", QUEUE_BYTES, text)
        return _DEFAULT_QUEUE_BYTES
    return size
