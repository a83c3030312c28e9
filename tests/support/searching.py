"""A search whose rules a test sees at a glance: `quince` is an address, `medlar` makes detection fail."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from collector_processor.guard.disclosures import condemned, disclosed
from collector_processor.guard.rescan import Rescan
from collector_processor.model.facts import Facts, Problem
from collector_processor.model.record import BenchmarkDataPoint
from collector_processor.model.stages import Disclosure, Mended


class Searching:
    """Puts `<>` in place of every `quince`."""

    def record(self, facts: Facts, tenant: str | None) -> Mended | None:
        """As `Rescan` does. Raises RuntimeError at a medlar."""
        written = msgspec.json.encode(facts)
        if b"medlar" in written:
            raise RuntimeError("a medlar")
        return self.facts(facts, tenant)

    def facts(self, facts: Facts, _: str | None) -> Mended | None:
        """As `Rescan` does; what was found was said by the first span of all."""
        written = msgspec.json.encode(facts)
        if b"quince" not in written:
            return None
        mended = msgspec.json.decode(written.replace(b"quince", b"<>"), type=Facts)
        spans = [fact.span_id for fact in (facts.task, *facts.routings, *facts.evaluations) if fact is not None]
        found = [Disclosure(spans[0], "arbiter.task.description", Problem.PERSONAL_DATA, "EMAIL")]
        anomalies = mended.anomalies + disclosed(found) + condemned(found)
        return Mended(msgspec.structs.replace(mended, anomalies=anomalies), {"EMAIL": 1}, {})

    def texts(self, texts: Sequence[tuple[str, str]], _: str | None) -> list[str] | None:
        """As `Rescan` does; a medlar is withheld."""
        values = ["<WITHHELD:failed>" if "medlar" in text else text.replace("quince", "<>") for _, text in texts]
        return values if values != [text for _, text in texts] else None

    def condemn(self, record: BenchmarkDataPoint, problem: str) -> BenchmarkDataPoint | None:
        """As `Rescan` does."""
        return Rescan.condemn(record, problem)
