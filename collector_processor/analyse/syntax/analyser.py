"""The AST facet: what a change did to the syntax of the files that it touched, and how small it was.

Content:
    files: each path, language (`guessed` where only its text told it), whole, isNew, parseErrors, linesAdded,
        linesRemoved, astSimilarity, nodesBefore, nodesAfter, nodesMatched, and
        changes: inserted, deleted and updated nodes by kind
        changedNodes: change, kind, lines, size; the first ones
        functions: name, change, lines, complexityBefore, complexityAfter, stub
    metrics: fileTouchCount, linesAdded, linesRemoved, lineChangeRatio, astSimilarity, cyclomaticChange,
        functionsAdded, functionsRemoved, functionsChanged; null where it can't be known
    scaffolding: addedStubs, addedTodos, addedFiles, stubShare (of the functions that were added or changed)
    reported: what the evaluation says of the same, and difference: computed minus reported
Lines are those of the file after the change; where something was deleted, before it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from collector_processor.analyse.analyser import Clean, Finding
from collector_processor.analyse.material import Material
from collector_processor.analyse.syntax.changes import Change, change_of
from collector_processor.analyse.syntax.compare import similarity
from collector_processor.analyse.syntax.files import FileReport, report_of
from collector_processor.model.facts import MinimalDiffMetrics
from collector_processor.model.samples import SampleReason, SampleStatus
from collector_processor.model.sampling import Facet
from otel_benchmark import attributes as a

MAX_NODES: Final = 1000
"""Changed nodes of a file that are listed; all are counted."""


class SyntaxAnalyser:
    """Compares programs before and after a task. See Analyser."""

    facet = Facet.AST
    version = 1

    def analyse(self, material: Material, clean: Clean) -> Finding:  # noqa: ARG002  # nothing leaves meanwhile
        """See Analyser."""
        if material.gone:
            return Finding(SampleStatus.EMPTY, {}, SampleReason.INPUT_GONE)
        told = [change for span in material.spans if (change := change_of(span.attributes)) is not None]
        if not told:
            has_content = any(not a.CONTENT_ATTRIBUTES.isdisjoint(span.attributes) for span in material.spans)
            reason = SampleReason.NO_INPUT if has_content else SampleReason.CONTENT_OFF
            return Finding(SampleStatus.EMPTY, {}, reason)
        change = told[-1]
        reports = [report_of(file) for file in change.files]
        evaluation = material.record.evaluation
        content = _content(reports, evaluation.minimal_diff_metrics if evaluation is not None else None)
        reasons = _reasons(reports)
        gaps = [*change.gaps, *(f"{count} files: {_WORDS[reason]}" for reason, count in reasons.items())]
        if len(set(map(_identity, told))) > 1:
            gaps.append(f"{len(told)} spans tell of different changes: the last one is taken")
        if not gaps:
            return Finding(SampleStatus.COMPLETE, content)
        reason = next(iter(reasons), SampleReason.PARSE_ERROR if change.gaps else SampleReason.GAPS)
        return Finding(SampleStatus.PARTIAL, content, reason, tuple(gaps))


_WORDS: Final = {
    SampleReason.PARSE_ERROR: "can't be parsed as a whole",
    SampleReason.TOO_LARGE: "too large to be parsed",
    SampleReason.LANGUAGE_UNKNOWN: "in a language that is not parsed",
    SampleReason.HUNKS_ONLY: "only the hunks of a patch are known",
}


def _identity(change: Change) -> str:
    return repr(change.files)


def _reasons(reports: Sequence[FileReport]) -> dict[SampleReason, int]:
    """Return why files could not be seen whole, the weightiest reason first, with how many they are."""
    counts = Counter(report.reason for report in reports if report.reason is not None)
    return {reason: counts[reason] for reason in _WORDS if counts[reason]}


def _content(reports: Sequence[FileReport], reported: MinimalDiffMetrics | None) -> dict[str, Any]:
    metrics = _metrics(reports)
    functions = [function for report in reports for function in report.functions]
    stubs = [function.name for function in functions if function.stub and function.change != "removed"]
    touched = sum(function.change != "removed" for function in functions)
    scaffolding = {
        "addedStubs": stubs,
        "addedTodos": sum(report.todos for report in reports),
        "addedFiles": sum(report.is_new for report in reports),
        "stubShare": len(stubs) / touched if touched else 0.0,
    }
    content = {"files": [_file(report) for report in reports], "metrics": metrics, "scaffolding": scaffolding}
    if reported is not None:
        told = msgspec.to_builtins(reported)
        mine = {**metrics, "scaffoldingPenalty": scaffolding["stubShare"]}
        content |= {"reported": told, "difference": _difference(mine, told)}
    return content


def _metrics(reports: Sequence[FileReport]) -> dict[str, Any]:
    parsed = [report for report in reports if report.nodes_after or report.nodes_before]
    functions = [function for report in reports for function in report.functions]
    added, removed = sum(report.added for report in reports), sum(report.removed for report in reports)
    lines = sum(report.lines for report in reports) if all(report.whole for report in reports) else 0
    changes = Counter(function.change for function in functions)
    complexity = sum((each.complexity_after or 0) - (each.complexity_before or 0) for each in functions)
    return {
        "fileTouchCount": len(reports),
        "linesAdded": added,
        "linesRemoved": removed,
        "lineChangeRatio": (added + removed) / lines if lines else None,
        "astSimilarity": similarity(
            sum(report.nodes_before for report in parsed),
            sum(report.nodes_after for report in parsed),
            sum(report.nodes_matched for report in parsed),
        ),
        "cyclomaticChange": complexity if parsed else None,
        "functionsAdded": changes["added"],
        "functionsRemoved": changes["removed"],
        "functionsChanged": changes["changed"],
    }


def _difference(computed: Mapping[str, Any], reported: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: computed[name] - value
        for name, value in reported.items()
        if value is not None and computed.get(name) is not None
    }


def _file(report: FileReport) -> dict[str, Any]:
    by_kind: dict[str, Counter[str]] = {"inserted": Counter(), "deleted": Counter(), "updated": Counter()}
    for change in report.changes:
        by_kind[change.change][change.kind] += 1
    return {
        "path": report.path,
        "language": report.language,
        "guessed": report.guessed,
        "whole": report.whole,
        "isNew": report.is_new,
        "parseErrors": report.errors,
        "linesAdded": report.added,
        "linesRemoved": report.removed,
        "astSimilarity": similarity(report.nodes_before, report.nodes_after, report.nodes_matched),
        "nodesBefore": report.nodes_before,
        "nodesAfter": report.nodes_after,
        "nodesMatched": report.nodes_matched,
        "changes": {change: dict(counts) for change, counts in by_kind.items()},
        "changedNodes": [
            {"change": each.change, "kind": each.kind, "lines": each.lines, "size": each.size}
            for each in report.changes[:MAX_NODES]
        ],
        "functions": [
            {
                "name": each.name,
                "change": each.change,
                "lines": each.lines,
                "complexityBefore": each.complexity_before,
                "complexityAfter": each.complexity_after,
                "stub": each.stub,
            }
            for each in report.functions
        ],
    }
