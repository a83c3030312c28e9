"""How large a change to source code was: what an evaluation calls minimal."""

from __future__ import annotations

import ast
import difflib

from collector_processor.demo.arbiter.model import Changes, MinimalDiff

SCAFFOLDING = ("#", "print(", "pass", "...")


def patch_of(changes: Changes) -> str:
    """Unified diff of all files."""
    return "".join(
        line
        for name in changes.touched()
        for line in difflib.unified_diff(
            changes.before.get(name, "").splitlines(keepends=True),
            changes.after.get(name, "").splitlines(keepends=True),
            f"a/{name}",
            f"b/{name}",
        )
    )


def added_lines(changes: Changes) -> list[str]:
    """Lines that the change added, in all files."""
    lines = patch_of(changes).splitlines()
    return [line[1:] for line in lines if line.startswith("+") and not line.startswith("+++ ")]


def minimal_diff(changes: Changes) -> MinimalDiff | None:
    """Measure the change to Python files; None where the workspace holds none.

    The penalty for scaffolding is the share of added lines that are comments, prints, empty statements, or stand in
    files that nobody asked for. The reward multiplier shrinks with each of the three measures.
    """
    sources = [name for name in changes.before if name.endswith(".py")]
    if not sources:
        return None
    similarity = min(ast_similarity(changes.before[name], changes.after.get(name, "")) for name in sources)
    before = [line for name in sources for line in changes.before[name].splitlines()]
    after = [line for name in sources for line in changes.after.get(name, "").splitlines()]
    unchanged = sum(
        block.size for block in difflib.SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks()
    )
    ratio = 1 - 2 * unchanged / (len(before) + len(after))
    added = added_lines(changes)
    needless = sum(line.strip().startswith(SCAFFOLDING) for line in added)
    needless += sum(
        len(changes.after[name].splitlines())
        for name in changes.touched()
        if name not in changes.before and name.endswith(".py")
    )
    penalty = min(1.0, needless / len(added)) if added else 0.0
    return MinimalDiff(
        ast_similarity=similarity,
        files_touched=len(changes.touched()),
        line_change_ratio=ratio,
        scaffolding_penalty=penalty,
        reward_multiplier=max(0.1, similarity * (1 - 0.5 * ratio) * (1 - 0.5 * penalty)),
    )


def ast_similarity(before: str, after: str) -> float:
    """How alike two sources are as syntax trees, 0..1; 0 where one of them doesn't parse."""
    try:
        old, new = _nodes(before), _nodes(after)
    except SyntaxError:
        return 0.0
    return difflib.SequenceMatcher(None, old, new, autojunk=False).ratio()


def _nodes(source: str) -> list[str]:
    """Every node of the tree with its name or value, breadth first."""
    return [
        type(node).__name__
        + str(getattr(node, "id", getattr(node, "value", "") if isinstance(node, ast.Constant) else ""))
        for node in ast.walk(ast.parse(source))
    ]
