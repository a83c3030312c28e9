"""A search whose rules a test sees at a glance: `quince` is an address, `medlar` makes detection fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import msgspec

from collector_processor.guard.disclosures import condemned, disclosed
from collector_processor.guard.rescan import Rescan
from collector_processor.model.facts import Facts, Problem
from collector_processor.model.record import BenchmarkDataPoint
from collector_processor.model.stages import Disclosure, Mended
from otel_benchmark import attributes as a

_NONE: Final[Mapping[str, Any]] = MappingProxyType({})


class Searching:
    """Puts `<>` in place of every `quince`."""

    def record(self, facts: Facts, _: str | None, samples: Mapping[str, Any] = _NONE) -> Mended | None:
        """As `Rescan` does. Raises RuntimeError at a medlar."""
        if b"medlar" in msgspec.json.encode((facts, dict(samples))):
            raise RuntimeError("a medlar")
        return self._mended(facts, samples)

    def facts(self, facts: Facts, _: str | None) -> Mended | None:
        """As `Rescan` does."""
        return self._mended(facts, _NONE)

    def texts(self, texts: Sequence[tuple[str, str]], _: str | None) -> list[str] | None:
        """As `Rescan` does; a medlar is withheld."""
        values = ["<WITHHELD:failed>" if "medlar" in text else text.replace("quince", "<>") for _, text in texts]
        return values if values != [text for _, text in texts] else None

    def condemn(self, record: BenchmarkDataPoint, problem: str) -> BenchmarkDataPoint | None:
        """As `Rescan` does."""
        return Rescan.condemn(record, problem)

    @staticmethod
    def _mended(facts: Facts, samples: Mapping[str, Any]) -> Mended | None:
        texts = {"": msgspec.json.encode(facts), **{name: msgspec.json.encode(each) for name, each in samples.items()}}
        mended = {name: text.replace(b"quince", b"<>") for name, text in texts.items() if b"quince" in text}
        if not mended:
            return None
        # What was found was said by the first span of all.
        spans = [fact.span_id for fact in (facts.task, *facts.routings, *facts.evaluations) if fact is not None]
        found = [Disclosure(spans[0], name or a.TASK_DESCRIPTION, Problem.PERSONAL_DATA, "EMAIL") for name in mended]
        facts = msgspec.json.decode(mended.pop("", texts[""]), type=Facts)
        anomalies = facts.anomalies + disclosed(found) + condemned(found)
        contents = {name: msgspec.json.decode(text) for name, text in mended.items()}
        return Mended(
            msgspec.structs.replace(facts, anomalies=anomalies), Counter({"EMAIL": len(found)}), Counter(), contents
        )
