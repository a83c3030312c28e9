"""Recall and precision of a detector on labelled samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from collector_processor.guard.privacy import Category, Detector, Finding, Text
from support.privacy_corpus import Planted, Sample


class Figures:
    """What was planted and what was found of it, by category and by kind."""

    def __init__(self) -> None:
        self.planted: Counter[Category] = Counter()
        self.found: Counter[Category] = Counter()
        self.kinds: Counter[str] = Counter()
        self.found_kinds: Counter[str] = Counter()
        self.findings = 0
        self.missed: list[str] = []
        self.wrong: list[str] = []

    def recall(self, category: Category) -> float:
        return self.found[category] / self.planted[category]

    @property
    def precision(self) -> float:
        return 1 - len(self.wrong) / self.findings

    def add(self, sample: Sample, findings: Iterable[Finding]) -> None:
        """A planted value counts as found when one finding of its category covers all of it."""
        findings = list(findings)
        for planted in sample.planted:
            self.planted[planted.category] += 1
            self.kinds[planted.kind] += 1
            if any(_covers(finding, planted) for finding in findings):
                self.found[planted.category] += 1
                self.found_kinds[planted.kind] += 1
            else:
                self.missed.append(f"{planted} in {sample.text!r}")
        for finding in findings:
            self.findings += 1
            if not any(finding.start < planted.end and planted.start < finding.end for planted in sample.planted):
                self.wrong.append(f"{finding} in {sample.text!r}")

    def table(self) -> str:
        rows = [f"{'category':<14}{'planted':>8}{'recall':>9}"]
        rows += [
            f"{each.value:<14}{self.planted[each]:>8}{self.recall(each):>9.4f}"
            for each in Category
            if self.planted[each]
        ]
        return "\n".join(rows)


def _covers(finding: Finding, planted: Planted) -> bool:
    return finding.category is planted.category and finding.start <= planted.start and planted.end <= finding.end


def measured(samples: Iterable[Sample], detector: Detector) -> Figures:
    """Scan each sample by itself, so that none helps another."""
    figures = Figures()
    for sample in samples:
        figures.add(sample, detector.scan([Text("", sample.text)]).findings)
    return figures
