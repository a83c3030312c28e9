"""What the plugin's spans share in this process: settings, tracer, sampler, and the log that says a thing once."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace

from otel_benchmark import attributes as a
from otel_benchmark.environment import Settings
from otel_benchmark.mapping import Lines, load
from otel_benchmark.plans import Vocabulary

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer, TracerProvider

logger = logging.getLogger(__name__)


class Runtime:
    """Settings and tracer. The API works without an instrumentor: then both are taken when first needed."""

    def __init__(self) -> None:
        self.tracer: Tracer | None = None
        self.sampler: str | None = None
        self._settings: Settings | None = None
        self._provider: TracerProvider | None = None
        self._vocabularies: dict[a.Kind, Vocabulary] = {}
        self.tenant_hash = lru_cache(maxsize=1024)(a.tenant_hash)

    @property
    def settings(self) -> Settings:
        """The configured settings, read from the environment when first asked for."""
        if self._settings is None:
            self._settings = Settings.from_environ()
        return self._settings

    def configure(self, settings: Settings | None = None, provider: TracerProvider | None = None) -> None:
        """Set or, without arguments, forget settings and tracer provider."""
        self._settings, self._provider = settings, provider
        self.tracer = self.sampler = None
        self._vocabularies.clear()

    def vocabulary(self, kind: a.Kind) -> Vocabulary:
        """Return the readers of a kind of span under the current settings."""
        if not self._vocabularies:
            mapping = load(self.settings.mapping)
            self._vocabularies = {
                each: Vocabulary(each, mapping.get(each, Lines()), capture_content=self.settings.capture_content)
                for each in a.Kind
            }
        return self._vocabularies[kind]

    def resolve(self) -> Tracer:
        """Return the tracer, and keep it as soon as an SDK is there to stay with."""
        provider: Any = self._provider or trace.get_tracer_provider()
        tracer: Tracer = provider.get_tracer(a.SCOPE_NAME, _version())
        if not isinstance(provider, trace.ProxyTracerProvider):
            self.tracer = tracer
            self.sampler = _describe(getattr(provider, "sampler", None))
        return tracer


RUNTIME: Final = Runtime()


@lru_cache(maxsize=1)
def _version() -> str:
    # importlib.metadata is heavy to import and needed once, when the first span starts.
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    try:
        return version("otel-benchmark")
    except PackageNotFoundError:
        return ""


def _describe(sampler: Any) -> str | None:
    """Return the sampler's description; warn once if it drops tasks before anybody knows how they end."""
    if sampler is None:
        return None
    try:
        description = str(sampler.get_description())
    except Exception:  # noqa: BLE001 - a sampler of the host's own; unknown then, as any other of its kind
        return None
    root = description.removeprefix("ParentBased{root:").partition(",")[0]
    ratio = root.removeprefix("TraceIdRatioBased{").removesuffix("}")
    if root != "AlwaysOnSampler" and ratio not in {"1", "1.0"}:
        logger.warning(
            "the head sampler %s drops lifecycle spans before their outcome is known, so records of tasks are lost; "
            "set OTEL_TRACES_SAMPLER=parentbased_always_on and let the processor sample",
            root,
        )
    return description


_reported: set[str] = set()
_hinted: set[str] = set()


def report(log: logging.Logger, message: str) -> None:
    """Log an error of our own once per process, with its traceback: it repeats with every call."""
    text = f"{message} (said once; the application is not affected)"
    _say_once(_reported, log, text, sys.exception())


def hint(log: logging.Logger, message: str) -> None:
    """Log once per process what the host should mend."""
    _say_once(_hinted, log, message, None)


def _say_once(said: set[str], log: logging.Logger, message: str, error: BaseException | None) -> None:
    if message not in said:
        said.add(message)
        with suppress(Exception):  # a handler or filter of the host may raise
            log.warning("otel_benchmark: %s", message, exc_info=error)
