"""One file of a change → its report: parsed before and after, compared, its functions and lines counted."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Final

from collector_processor.analyse.syntax.changes import FileChange, Fragment
from collector_processor.analyse.syntax.compare import NodeChange, compare
from collector_processor.analyse.syntax.functions import FunctionChange, changed_functions, functions_of
from collector_processor.analyse.syntax.grammars import GRAMMARS, Grammar, grammar_of
from collector_processor.analyse.syntax.trees import Forms, Program, program_of
from collector_processor.model.samples import SampleReason

MAX_FILE_BYTES: Final = 1 << 20
"""Of a file that is parsed; a longer one is generated, as a rule."""


@dataclass(slots=True)
class FileReport:
    """What is known of one file; `reason` tells what keeps it from being the whole of it, `lines` are both sides'."""

    path: str | None
    whole: bool
    is_new: bool
    added: int
    removed: int
    lines: int
    language: str | None = None
    guessed: bool = False
    errors: int = 0
    nodes_before: int = 0
    nodes_after: int = 0
    nodes_matched: int = 0
    todos: int = 0
    changes: list[NodeChange] = field(default_factory=list)
    functions: list[FunctionChange] = field(default_factory=list)
    reason: SampleReason | None = None


def report_of(file: FileChange) -> FileReport:
    """Look at one file."""
    added, removed = _lines(file)
    lines = sum(_count(each.before) + _count(each.after) for each in file.fragments)
    report = FileReport(file.path, file.whole, file.is_new, added, removed, lines)
    if sum(len(each.before) + len(each.after) for each in file.fragments) > 2 * MAX_FILE_BYTES:
        report.reason = SampleReason.TOO_LARGE
        return report
    grammar = grammar_of(file.path) if file.path is not None else None
    if file.path is None:
        grammar = _guess(file.fragments)
        report.guessed = grammar is not None
    if grammar is None:
        report.reason = SampleReason.LANGUAGE_UNKNOWN
        return report
    report.language = grammar.name
    for fragment in file.fragments:
        _compare(report, fragment if file.whole else _dedented(fragment), grammar)
    if not file.whole:
        report.reason = SampleReason.HUNKS_ONLY
    elif report.errors:
        report.reason = SampleReason.PARSE_ERROR
    return report


def _compare(report: FileReport, fragment: Fragment, grammar: Grammar) -> None:
    """Add what one fragment shows. A side that isn't there, of a file that is new or gone, has no nodes."""
    forms: Forms = {}
    before = _program(fragment.before, grammar, forms)
    after = _program(fragment.after, grammar, forms)
    report.errors += sum(program.errors for program in (before, after) if program is not None)
    old = functions_of(before.root, grammar) if before is not None else {}
    new = functions_of(after.root, grammar) if after is not None else {}
    # What is gone stands in the file's lines before the change, all else in those after it.
    by_before, by_after = fragment.line_before - 1, fragment.line_after - 1
    for function in changed_functions(old, new):
        by = by_before if function.change == "removed" else by_after
        report.functions.append(function._replace(lines=_moved(function.lines, by)))
    if after is not None:
        report.todos += (after.todos - before.todos if before is not None else after.todos).total()
    if before is not None and after is not None:
        comparison = compare(before.root, after.root)
        report.nodes_before += comparison.before
        report.nodes_after += comparison.after
        report.nodes_matched += comparison.matched
        for change in comparison.changes:
            by = by_before if change.change == "deleted" else by_after
            report.changes.append(change._replace(lines=_moved(change.lines, by)))
    elif after is not None:
        report.nodes_after += after.root.size
        report.changes.append(NodeChange("inserted", after.root.kind, after.root.lines, after.root.size))
    elif before is not None:
        report.nodes_before += before.root.size
        report.changes.append(NodeChange("deleted", before.root.kind, before.root.lines, before.root.size))


def _moved(lines: tuple[int, int], by: int) -> tuple[int, int]:
    return lines[0] + by, lines[1] + by


def _program(text: str, grammar: Grammar, forms: Forms) -> Program | None:
    return program_of(text, grammar, forms) if text.strip() else None


def _guess(fragments: Sequence[Fragment]) -> Grammar | None:
    """Return the first language that both sides of a text without a name are in, without an error."""
    for grammar in GRAMMARS:
        programs = [_program(text, grammar, {}) for fragment in fragments for text in (fragment.before, fragment.after)]
        if not any(program.errors for program in programs if program is not None):
            return grammar
    return None


def _dedented(fragment: Fragment) -> Fragment:
    """Take the common indentation off a hunk, which begins somewhere inside a block."""
    together = textwrap.dedent(fragment.before + fragment.after).splitlines(keepends=True)
    lines = _count(fragment.before)
    return fragment._replace(before="".join(together[:lines]), after="".join(together[lines:]))


def _lines(file: FileChange) -> tuple[int, int]:
    """Return added and removed lines, counted where no patch tells them."""
    if file.added is not None and file.removed is not None:
        return file.added, file.removed
    (fragment,) = file.fragments
    old, new = fragment.before.splitlines(), fragment.after.splitlines()
    added = removed = 0
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, old, new, autojunk=len(old) + len(new) > 20_000).get_opcodes():
        if tag != "equal":
            removed += i2 - i1
            added += j2 - j1
    return added, removed


def _count(text: str) -> int:
    return len(text.splitlines())
