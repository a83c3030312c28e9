"""A parse → a tree that can be compared: no comments, no brackets, and equal subtrees bear equal numbers.

A leaf's label is its text, an inner node's its operators and keywords. The number of a subtree (`form`) stands for its
kind, label and children's forms within one `Forms`, so two subtrees are the same where the numbers are.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from tree_sitter import Node as Parsed

from collector_processor.analyse.syntax.grammars import Grammar, parse

_PUNCTUATION: Final = frozenset(["(", ")", "[", "]", "{", "}", ",", ";", ":", "."])
_UNWRITTEN: Final = r"(?i:[^\n]*(?:not (?:yet )?implemented|unimplemented|todo|unsupported)[^\n]*)"
_STUB: Final = re.compile(
    r"pass|\.\.\.|raise NotImplementedError\b.*|(?:todo|unimplemented)!\(.*\);?"
    r"|throw new UnsupportedOperationException\(.*\);?"
    rf"|throw new Error\({_UNWRITTEN}|panic!?\({_UNWRITTEN}",
    re.DOTALL,
)
_RECEIVER: Final = re.compile(r"(\w+)(?:\[[^\]]*\])?\s*\)$")
_TODO: Final = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")

MAX_NAME: Final = 80
"""Characters of what a function without a name is assigned to, to be called by it."""

Forms = dict[tuple[str, str, tuple[int, ...]], int]
"""Kind, label and children's forms → the number of the form."""


@dataclass(slots=True, eq=False)
class Node:
    """A node of a tree; lines count from 1. Functions and scopes have a name, and a `stub` does nothing."""

    kind: str
    label: str
    children: list[Node]
    form: int
    size: int
    lines: tuple[int, int]
    name: str = ""
    stub: bool = False


@dataclass(slots=True)
class Program:
    """A parsed text: its tree, places that can't be parsed, and its comments that ask for more work."""

    root: Node
    errors: int
    todos: Counter[str] = field(default_factory=Counter)


def program_of(text: str, grammar: Grammar, forms: Forms) -> Program:
    """Parse a text and number its subtrees."""
    root = parse(text, grammar).root_node
    errors = 0
    todos: Counter[str] = Counter()
    done: list[list[Node]] = [[]]
    # Trees are as deep as their programs like, so this walks with a stack of its own: a node comes again, closed,
    # when all below it have come.
    open_: list[tuple[Parsed, bool]] = [(root, False)]
    while open_:
        node, closed = open_.pop()
        if closed:
            children = done.pop()
            done[-1].append(_node(node, children, grammar, forms))
            continue
        errors += node.is_error or node.is_missing
        if "comment" in node.type:
            if _TODO.search(said := _text(node)):
                todos[said] += 1
            continue
        done.append([])
        open_.append((node, True))
        open_.extend((child, False) for child in reversed(node.named_children))
    # A bracket that is missing has no node with a name.
    return Program(done[0][0], errors or int(root.has_error), todos)


def _node(node: Parsed, children: list[Node], grammar: Grammar, forms: Forms) -> Node:
    if node.named_child_count:
        label = " ".join(
            said for child in node.children if not child.is_named and (said := child.type) not in _PUNCTUATION
        )
    else:
        label = _text(node)
    form = forms.setdefault((node.type, label, tuple(child.form for child in children)), len(forms))
    is_function = node.type in grammar.functions
    return Node(
        node.type,
        label,
        children,
        form,
        1 + sum(child.size for child in children),
        (node.start_point.row + 1, node.end_point.row + 1),
        _name(node) if is_function or node.type in grammar.scopes else "",
        is_function and _is_stub(node),
    )


def _name(node: Parsed) -> str:
    """Return the name of a function or scope; that of what it is assigned to, where it has none of its own."""
    name = node.child_by_field_name("name") or node.child_by_field_name("type")
    if name is None or node.type in {"lambda", "lambda_expression", "closure_expression", "func_literal"}:
        parent = node.parent
        while parent is not None and parent.type in {"expression_list", "parenthesized_expression"}:
            parent = parent.parent
        for field_name in ("name", "left", "key", "pattern"):
            target = parent and parent.child_by_field_name(field_name)
            if target is not None and "\n" not in (said := _text(target)) and len(said) <= MAX_NAME:
                return said
        return "<anonymous>"
    receiver = node.child_by_field_name("receiver")
    of = _RECEIVER.search(_text(receiver)) if receiver is not None else None
    return f"{of[1]}.{_text(name)}" if of else _text(name)


def _is_stub(node: Parsed) -> bool:
    """Whether a function's body is empty or says that it is still to be written. One without a body is declared."""
    body = node.child_by_field_name("body")
    if body is None or not (body.type.endswith("block") or body.type in {"statement_block", "constructor_body"}):
        return False
    statements = [child for child in body.named_children if "comment" not in child.type]
    if len(statements) == 1 and statements[0].type == "statement_list":  # Go has one in each block
        statements = [child for child in statements[0].named_children if "comment" not in child.type]
    if statements and [child.type for child in statements[0].named_children] == ["string"]:  # a docstring
        statements = statements[1:]
    return not statements or (len(statements) == 1 and _STUB.fullmatch(_text(statements[0]).strip()) is not None)


def _text(node: Parsed) -> str:
    return (node.text or b"").decode(errors="replace")
