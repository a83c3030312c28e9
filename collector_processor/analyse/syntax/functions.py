"""The functions of two programs: which were added, removed or changed, and how complex they are.

Complexity is McCabe's ("A complexity measure", 1976): 1, and 1 more for each decision and boolean operator. A function
within another counts for itself alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from collector_processor.analyse.syntax.grammars import BOOLEAN_OPERATORS, Grammar
from collector_processor.analyse.syntax.trees import Node


class Function(NamedTuple):
    """A function by its qualified name."""

    form: int
    complexity: int
    lines: tuple[int, int]
    stub: bool


class FunctionChange(NamedTuple):
    """What became of a function; `lines` are those after the change, before it for one that was removed."""

    name: str
    change: Literal["added", "removed", "changed"]
    lines: tuple[int, int]
    complexity_before: int | None
    complexity_after: int | None
    stub: bool


def functions_of(root: Node, grammar: Grammar) -> dict[str, Function]:
    """Return the functions of a tree; of one name the second is called `name#2`."""
    found: dict[str, Function] = {}
    open_ = [(root, "")]
    while open_:
        node, scope = open_.pop()
        name = f"{scope}.{node.name}" if scope and node.name else node.name or scope
        if node.kind in grammar.functions:
            number = 1
            while (unique := name if number == 1 else f"{name}#{number}") in found:
                number += 1
            found[unique] = Function(node.form, _complexity(node, grammar), node.lines, node.stub)
            name = unique
        open_ += [(child, name) for child in reversed(node.children)]
    return found


def changed_functions(before: Mapping[str, Function], after: Mapping[str, Function]) -> Iterator[FunctionChange]:
    """Give the functions that differ, those that are still there first, in their order."""
    for name, new in after.items():
        old = before.get(name)
        if old is None:
            yield FunctionChange(name, "added", new.lines, None, new.complexity, new.stub)
        elif old.form != new.form:
            yield FunctionChange(name, "changed", new.lines, old.complexity, new.complexity, new.stub)
    for name, old in before.items():
        if name not in after:
            yield FunctionChange(name, "removed", old.lines, old.complexity, None, stub=False)


def _complexity(function: Node, grammar: Grammar) -> int:
    complexity = 1
    open_ = [*function.children]
    while open_:
        node = open_.pop()
        if node.kind in grammar.functions:
            continue
        if node.kind in grammar.decisions:
            complexity += node.label != "default"
        elif node.kind == grammar.boolean:
            complexity += node.label in BOOLEAN_OPERATORS
        open_ += node.children
    return complexity
