"""The languages that are parsed: by which tree-sitter grammar, and which of its nodes mean what.

A grammar of another language is added here: its package, and the kinds of nodes that are functions, scopes (which give
functions their qualified names) and decisions (which McCabe's cyclomatic complexity counts).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final, NamedTuple

import tree_sitter_go
import tree_sitter_java
import tree_sitter_javascript
import tree_sitter_python
import tree_sitter_rust
import tree_sitter_typescript
from tree_sitter import Language, Parser, Tree

BOOLEAN_OPERATORS: Final = frozenset({"&&", "||", "??", "and", "or"})
"""Each of them is a decision too."""


class Grammar(NamedTuple):
    """One language. `boolean` is the kind of node that holds a boolean operator."""

    name: str
    suffixes: tuple[str, ...]
    language: Callable[[], object]
    functions: frozenset[str]
    scopes: frozenset[str]
    decisions: frozenset[str]
    boolean: str = "binary_expression"


def _kinds(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SCRIPT_FUNCTIONS: Final = _kinds(
    "function_declaration function_expression generator_function_declaration generator_function arrow_function"
    " method_definition"
)
_SCRIPT_SCOPES: Final = _kinds("class_declaration class abstract_class_declaration internal_module")
_SCRIPT_DECISIONS: Final = _kinds(
    "if_statement for_statement for_in_statement while_statement do_statement switch_case catch_clause"
    " ternary_expression"
)

GRAMMARS: Final = (
    Grammar(
        "python",
        (".py", ".pyi", ".pyw"),
        tree_sitter_python.language,
        _kinds("function_definition lambda"),
        _kinds("class_definition"),
        _kinds(
            "if_statement elif_clause for_statement while_statement except_clause except_group_clause case_clause"
            " conditional_expression if_clause for_in_clause"
        ),
        "boolean_operator",
    ),
    Grammar(
        "javascript",
        (".js", ".mjs", ".cjs", ".jsx"),
        tree_sitter_javascript.language,
        _SCRIPT_FUNCTIONS,
        _SCRIPT_SCOPES,
        _SCRIPT_DECISIONS,
    ),
    Grammar(
        "typescript",
        (".ts", ".mts", ".cts"),
        tree_sitter_typescript.language_typescript,
        _SCRIPT_FUNCTIONS,
        _SCRIPT_SCOPES,
        _SCRIPT_DECISIONS,
    ),
    Grammar(
        "tsx",
        (".tsx",),
        tree_sitter_typescript.language_tsx,
        _SCRIPT_FUNCTIONS,
        _SCRIPT_SCOPES,
        _SCRIPT_DECISIONS,
    ),
    Grammar(
        "go",
        (".go",),
        tree_sitter_go.language,
        _kinds("function_declaration method_declaration func_literal"),
        _kinds(""),
        _kinds("if_statement for_statement expression_case type_case communication_case"),
    ),
    Grammar(
        "rust",
        (".rs",),
        tree_sitter_rust.language,
        _kinds("function_item closure_expression"),
        _kinds("impl_item trait_item mod_item"),
        _kinds("if_expression while_expression for_expression loop_expression match_arm"),
    ),
    Grammar(
        "java",
        (".java",),
        tree_sitter_java.language,
        _kinds("method_declaration constructor_declaration compact_constructor_declaration lambda_expression"),
        _kinds("class_declaration interface_declaration enum_declaration record_declaration"),
        _kinds(
            "if_statement for_statement enhanced_for_statement while_statement do_statement switch_label catch_clause"
            " ternary_expression"
        ),
    ),
)

_BY_SUFFIX: Final = {suffix: grammar for grammar in GRAMMARS for suffix in grammar.suffixes}


def grammar_of(path: str) -> Grammar | None:
    """Return the language of a file by its name; None for one that is not parsed."""
    return _BY_SUFFIX.get("." + path.lower().rpartition(".")[2])


def parse(text: str, grammar: Grammar) -> Tree:
    """Parse a text; what can't be parsed stands in the tree as ERROR."""
    return _parser(grammar.name).parse(text.encode())


@cache
def _parser(name: str) -> Parser:
    (grammar,) = (each for each in GRAMMARS if each.name == name)
    return Parser(Language(grammar.language()))
