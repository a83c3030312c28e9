"""Two trees, node by node: which nodes have a partner, and what was inserted, deleted or changed.

Trees are matched from the top (Yang, "Identifying syntactic differences between two programs", 1991): nodes of one
kind are partners, and their children are aligned by the longest common run of equal subtrees, then by kind and name.
Something that was moved counts as deleted and inserted. The similarity of two trees is Dice's coefficient, as GumTree
takes it (Falleri et al., "Fine-grained and accurate source code differencing", 2014):

    2 * nodes with an equal partner / (nodes before + nodes after)

where a partner is equal if kind and label are. 1.0: the same but for comments and layout. 0.0: nothing in common.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Final, Literal, NamedTuple

from collector_processor.analyse.syntax.trees import Node

Kind = Literal["inserted", "deleted", "updated"]
MAX_ALIGNED: Final = 2000
"""Children on either side that are aligned by subtree; of more, only those at both ends."""


class NodeChange(NamedTuple):
    """The topmost node of a change: of a subtree that is new or gone, or a node with another label."""

    change: Kind
    kind: str
    lines: tuple[int, int]
    size: int


class Comparison(NamedTuple):
    """Nodes before, after, and with an equal partner; and the changes in the order of the tree."""

    before: int
    after: int
    matched: int
    changes: Sequence[NodeChange]


def similarity(before: int, after: int, matched: int) -> float | None:
    """Return Dice's coefficient; None where there are no nodes at all."""
    return 2 * matched / (before + after) if before + after else None


def compare(before: Node, after: Node) -> Comparison:
    """Match two trees of one language."""
    matched = 0
    changes: list[NodeChange] = []
    pairs = [(before, after)]
    while pairs:
        old, new = pairs.pop()
        if old.form == new.form:
            matched += old.size
            continue
        if old.label == new.label:
            matched += 1
        else:
            changes.append(NodeChange("updated", new.kind, new.lines, 1))
        partners, gone, come = _align(old.children, new.children)
        changes += [NodeChange("deleted", node.kind, node.lines, node.size) for node in gone]
        changes += [NodeChange("inserted", node.kind, node.lines, node.size) for node in come]
        pairs += reversed(partners)
    return Comparison(before.size, after.size, matched, changes)


class _Aligned(NamedTuple):
    partners: list[tuple[Node, Node]]
    gone: list[Node]
    come: list[Node]


def _align(old: Sequence[Node], new: Sequence[Node]) -> _Aligned:
    """Find partners among the children of two partners."""
    first = 0
    while first < min(len(old), len(new)) and old[first].form == new[first].form:
        first += 1
    last = 0
    while last < min(len(old), len(new)) - first and old[-1 - last].form == new[-1 - last].form:
        last += 1
    partners = [*zip(old[:first], new[:first], strict=True)]
    partners += zip(old[len(old) - last :], new[len(new) - last :], strict=True)
    old, new = old[first : len(old) - last], new[first : len(new) - last]
    gone: list[Node] = []
    come: list[Node] = []
    if max(len(old), len(new)) > MAX_ALIGNED:
        return _Aligned(partners, [*old], [*new])
    blocks = SequenceMatcher(None, [node.form for node in old], [node.form for node in new], autojunk=False)
    for tag, i1, i2, j1, j2 in blocks.get_opcodes():
        if tag == "equal":
            partners += zip(old[i1:i2], new[j1:j2], strict=True)
            continue
        rest, more, left = _alike(old[i1:i2], new[j1:j2], by_name=True)
        others, still_gone, still_come = _alike(more, left, by_name=False)
        partners += rest + others
        gone += still_gone
        come += still_come
    return _Aligned(partners, gone, come)


def _alike(old: Sequence[Node], new: Sequence[Node], *, by_name: bool) -> _Aligned:
    """Pair nodes of one kind in their order, of those with a name first the ones that share it."""
    partners: list[tuple[Node, Node]] = []
    waiting: dict[tuple[str, str], list[Node]] = {}
    for node in old:
        waiting.setdefault((node.kind, node.name if by_name else ""), []).append(node)
    come = []
    for node in new:
        found = waiting.get((node.kind, node.name if by_name else ""))
        if found:
            partners.append((found.pop(0), node))
        else:
            come.append(node)
    left = {id(node) for nodes in waiting.values() for node in nodes}
    return _Aligned(partners, [node for node in old if id(node) in left], come)
