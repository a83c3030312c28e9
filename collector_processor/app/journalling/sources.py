"""Under which names halts know where spans come from: as their resource says it, and as records hold it.

A service's name may be somebody's address: records then have a pseudonym of it, and so has the halt. Its spans, which
nobody has redacted yet, are recognised by making the same pseudonym, under every key, for the halt may be older than
the current one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from collector_processor.app.privacy import detector, privacy_keys
from collector_processor.assemble.messages import RawTraces
from collector_processor.config import Settings
from collector_processor.convert.source import describe
from collector_processor.guard.endings import without_half
from collector_processor.guard.privacy import Keyring, Redactor, Text
from collector_processor.guard.texts import IDENTIFIERS
from collector_processor.model.otlp import Origin
from collector_processor.model.stages import PrivacyKeys
from collector_processor.store.halts import UNKNOWN
from otel_benchmark import attributes as a


class Sources:
    """Reads the sources of payloads, in one thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._redactors: Sequence[Redactor] | None = None
        self._names = lru_cache(maxsize=1024)(self._named)

    def prepare(self) -> None:
        """Compile what finds personal data, which takes half a second, before it is needed. Raises ConfigError."""
        if self._redactors is None:
            keys = privacy_keys(self._settings)
            self._redactors = [] if keys is None else _redactors(keys)

    def of(self, payload: bytes) -> frozenset[str]:
        """Every name, `namespace/name`, of the services whose spans an OTLP payload holds."""
        resources = {b"".join(each.resource) for each in RawTraces.FromString(payload).resource_spans}
        return frozenset().union(*map(self._names, resources))

    def _named(self, resource: bytes) -> frozenset[str]:
        self.prepare()
        assert self._redactors is not None
        source = describe(Origin(resource, b"")).source
        parts = ((a.SERVICE_NAMESPACE, source.service_namespace), (a.SERVICE_NAME, source.service_name))
        said = [Text(key, without_half(text)) for key, text in parts if text]
        if not said:
            return frozenset({UNKNOWN})
        # Each by itself, as what is common to tenants is searched in records.
        known_as = {"/".join(each.texts([text], None).values[0] for text in said) for each in self._redactors}
        return frozenset({"/".join(text.value for text in said), *known_as})


def _redactors(keys: PrivacyKeys) -> list[Redactor]:
    """One for each key, all of one detector."""
    finder = detector()
    return [Redactor(Keyring(dict(keys), current=key_id), finder, IDENTIFIERS) for key_id, _ in keys]
