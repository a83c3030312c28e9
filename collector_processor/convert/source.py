"""Where spans come from: resource and instrumentation scope → Source.

The spans of a process share both byte for byte, so what was read last is kept.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, NamedTuple

from google.protobuf.message import DecodeError

from collector_processor.convert.messages import Lookup, Resource, Scope, resource_attributes
from collector_processor.convert.values import Attributes, clean_text
from collector_processor.model.facts import Anomaly, Problem, Source
from collector_processor.model.otlp import Origin
from otel_benchmark import attributes as a

_NOTHING: Final[dict[str, Any]] = {}
_MAX_KEPT_BYTES: Final = 16 * 1024


class Described(NamedTuple):
    """A source, and what was wrong with its description (span ids are empty)."""

    source: Source
    problems: tuple[Anomaly, ...]


def describe(origin: Origin) -> Described:
    """Read where a span comes from; what can't be read is null and flagged."""
    if len(origin.resource) + len(origin.scope) > _MAX_KEPT_BYTES:
        return _read(origin)
    return _read_once(origin)


def _read(origin: Origin) -> Described:
    problems: list[Anomaly] = []
    try:
        lookup: Lookup = resource_attributes(Resource.FromString(origin.resource), origin.resource)
    except DecodeError:
        problems.append(Anomaly("", "resource", Problem.UNREADABLE, "resource attributes can't be decoded"))
        lookup = _NOTHING.get
    try:
        scope = Scope.FromString(origin.scope)
    except DecodeError:
        problems.append(Anomaly("", "scope", Problem.UNREADABLE, "instrumentation scope can't be decoded"))
        scope = Scope()
    text = Attributes(lookup, "", problems).text
    source = Source(
        service_name=text(a.SERVICE_NAME),
        service_namespace=text(a.SERVICE_NAMESPACE),
        service_version=text(a.SERVICE_VERSION),
        sdk_name=text(a.TELEMETRY_SDK_NAME),
        sdk_language=text(a.TELEMETRY_SDK_LANGUAGE),
        sdk_version=text(a.TELEMETRY_SDK_VERSION),
        scope_name=clean_text(scope.name)[0],
        scope_version=clean_text(scope.version)[0],
    )
    return Described(source, tuple(problems))


_read_once = lru_cache(maxsize=512)(_read)
