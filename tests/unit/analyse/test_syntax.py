"""What a change did to the syntax of programs, in every language; patches, contents, and what can't be seen."""

from __future__ import annotations

import difflib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.analysis import material_of, unclean
from support.lifecycle import evaluation, execution

from collector_processor.analyse.syntax import SyntaxAnalyser
from collector_processor.analyse.syntax.compare import compare, similarity
from collector_processor.analyse.syntax.functions import functions_of
from collector_processor.analyse.syntax.grammars import GRAMMARS, Grammar
from collector_processor.analyse.syntax.trees import program_of
from collector_processor.model.samples import SampleReason, SampleStatus
from otel_benchmark import attributes as a

PYTHON = """import os

class Store:
    def read(self, key):
        if key and key > 2:
            return 1
        return 2

    def path(self):
        return os.getcwd()
"""


def grammar(name: str) -> Grammar:
    return next(each for each in GRAMMARS if each.name == name)


def patch_of(before: str, after: str, path: str = "store.py", context: int = 3) -> str:
    lines = before.splitlines(keepends=True), after.splitlines(keepends=True)
    return "".join(difflib.unified_diff(*lines, f"a/{path}", f"b/{path}", n=context))


def analyse(patch: str = "", before: Any = "", after: Any = "", *more: Any):
    texts = [each if isinstance(each, str) else json.dumps(each) for each in (patch, before, after)]
    said = dict(zip((a.DIFF_PATCH, a.DIFF_BEFORE, a.DIFF_AFTER), texts, strict=True))
    return SyntaxAnalyser().analyse(material_of(execution(attributes=said), *more), unclean)


def functions(content: Any) -> dict[str, tuple[str, int | None, int | None]]:
    return {
        each["name"]: (each["change"], each["complexityBefore"], each["complexityAfter"])
        for file in content["files"]
        for each in file["functions"]
    }


# -- Contents ------------------------------------------------------------------------------------------------


def test_contents_before_and_after_are_compared_whole():
    after = PYTHON.replace("if key and key > 2:", "for each in key:").replace("def path", "def folder")
    finding = analyse("", {"store.py": PYTHON, "same.py": "x = 1\n"}, {"store.py": after, "same.py": "x = 1\n"})
    assert finding.status is SampleStatus.COMPLETE
    (file,) = finding.content["files"]
    assert (file["path"], file["language"], file["linesAdded"], file["linesRemoved"]) == ("store.py", "python", 2, 2)
    assert functions(finding.content) == {
        "Store.read": ("changed", 3, 2),
        "Store.folder": ("added", None, 1),
        "Store.path": ("removed", 1, None),
    }
    assert finding.content["metrics"]["cyclomaticChange"] == -1
    assert finding.content["metrics"]["lineChangeRatio"] == pytest.approx(4 / 20)
    assert file["changes"]["deleted"] == {"if_statement": 1}
    assert file["changes"]["inserted"] == {"for_statement": 1}


def test_comments_and_layout_are_no_change_of_syntax():
    after = PYTHON.replace("        if key and key > 2:", "        # why\n        if key  and  key > 2:")
    content = analyse("", {"store.py": PYTHON}, {"store.py": after}).content
    assert (content["metrics"]["astSimilarity"], content["files"][0]["changedNodes"]) == (1.0, [])


def test_an_operator_is_a_change():
    after = PYTHON.replace("key > 2", "key < 2")
    (file,) = analyse("", {"store.py": PYTHON}, {"store.py": after}).content["files"]
    assert file["changes"] == {"inserted": {}, "deleted": {}, "updated": {"comparison_operator": 1}}
    assert file["nodesBefore"] == file["nodesAfter"] == file["nodesMatched"] + 1


def test_a_text_without_a_name_is_known_by_its_syntax():
    (file,) = analyse("", "fn f(x: u8) -> u8 { x }", "fn f(x: u8) -> u8 { x + 1 }").content["files"]
    assert (file["path"], file["language"], file["guessed"]) == (None, "rust", True)
    (file,) = analyse(patch_of("a\n", "b\n", "a.go"), "package a", "package b").content["files"]
    assert (file["path"], file["language"], file["guessed"]) == ("a.go", "go", False)


def test_new_and_deleted_files():
    content = analyse("", {"old.py": "def f():\n    return 1\n"}, {"new.py": "def g():\n    return 1\n"}).content
    assert [(file["path"], file["isNew"], file["astSimilarity"]) for file in content["files"]] == [
        ("new.py", True, 0.0),
        ("old.py", False, 0.0),
    ]
    assert (content["metrics"]["astSimilarity"], content["scaffolding"]["addedFiles"]) == (0.0, 1)


# -- Patches -------------------------------------------------------------------------------------------------


def test_a_patch_alone_shows_its_hunks_and_says_so():
    filler = "".join(f"\ndef f{number}():\n    return {number}\n" for number in range(20))
    before = PYTHON + filler
    after = before.replace("key > 2", "key > 3 or key").replace("return 19", "return 20")
    finding = analyse(patch_of(before, after))
    assert (finding.status, finding.reason) == (SampleStatus.PARTIAL, SampleReason.HUNKS_ONLY)
    (file,) = finding.content["files"]
    assert (file["whole"], finding.content["metrics"]["lineChangeRatio"]) == (False, None)
    last = next(each for each in file["functions"] if each["name"] == "f19")
    assert last["lines"] == (before.splitlines().index("def f19():") + 1, len(before.splitlines()))
    assert functions(finding.content)["Store.read"] == ("changed", 3, 4)


def test_a_patch_that_adds_a_file_shows_the_whole_of_it():
    finding = analyse(patch_of("", PYTHON).replace("--- a/store.py", "--- /dev/null"))
    assert finding.status is SampleStatus.COMPLETE
    assert functions(finding.content) == {"Store.read": ("added", None, 3), "Store.path": ("added", None, 1)}


def test_of_a_patch_that_was_cut_the_whole_files_are_kept():
    patch = "".join(
        f"diff --git a/{path} b/{path}\n" + patch_of("x = 1\n", "x = 2\n", path) for path in ("a.py", "b.py")
    )
    finding = analyse(patch[:-8])
    assert [file["path"] for file in finding.content["files"]] == ["a.py"]
    assert "1 files of the patch can't be read" in finding.gaps


def test_what_is_no_patch_is_told():
    finding = analyse("--- a\n+++ b\n@@ -1,9 +1,9 @@\n-x\n")
    assert (finding.status, finding.reason) == (SampleStatus.PARTIAL, SampleReason.PARSE_ERROR)
    assert analyse("I changed nothing").content["files"] == []


# -- What can't be seen ----------------------------------------------------------------------------------------


def test_a_file_that_cannot_be_parsed_is_partial():
    finding = analyse("", {"a.py": "def f(:\n"}, {"a.py": "def f():\n    return 1\n"})
    assert (finding.status, finding.reason) == (SampleStatus.PARTIAL, SampleReason.PARSE_ERROR)
    assert finding.content["files"][0]["parseErrors"] > 0


def test_other_languages_have_their_lines_counted():
    finding = analyse("", {"a.md": "# A\n"}, {"a.md": "# B\n\nMore\n"})
    assert (finding.status, finding.reason) == (SampleStatus.PARTIAL, SampleReason.LANGUAGE_UNKNOWN)
    assert finding.content["metrics"]["linesAdded"] == 3
    assert finding.content["metrics"]["astSimilarity"] is None


def test_a_file_that_is_too_large_is_not_parsed():
    finding = analyse("", {"a.py": ""}, {"a.py": "x = 1\n" * 400_000})
    assert (finding.status, finding.reason) == (SampleStatus.PARTIAL, SampleReason.TOO_LARGE)


def test_without_a_change_the_sample_is_empty():
    finding = SyntaxAnalyser().analyse(material_of(execution()), unclean)
    assert (finding.status, finding.reason) == (SampleStatus.EMPTY, SampleReason.CONTENT_OFF)
    said = {a.SELF_REFLECTION: "fine"}
    finding = SyntaxAnalyser().analyse(material_of(execution(attributes=said)), unclean)
    assert (finding.status, finding.reason) == (SampleStatus.EMPTY, SampleReason.NO_INPUT)


def test_of_several_changes_the_last_is_taken():
    other = evaluation(attributes={a.DIFF_PATCH: patch_of("y = 1\n", "y = 2\n", "other.py")})
    finding = analyse(patch_of("x = 1\n", "x = 2\n"), "", "", other)
    assert [file["path"] for file in finding.content["files"]] == ["other.py"]
    assert "2 spans tell of different changes: the last one is taken" in finding.gaps


# -- Measures ------------------------------------------------------------------------------------------------


def test_what_the_evaluation_reports_stands_beside_what_is_computed():
    said = {a.DIFF_AST_SIMILARITY: 0.5, a.DIFF_FILES_TOUCHED: 3, a.DIFF_SCAFFOLDING_PENALTY: 0.25}
    content = analyse("", {"a.py": "x = 1\n"}, {"a.py": "x = 1\n\n"}, evaluation(attributes=said)).content
    assert content["reported"]["astSimilarity"] == 0.5
    assert content["difference"] == {"astSimilarity": 0.5, "fileTouchCount": -2, "scaffoldingPenalty": -0.25}


STUBS = {
    "a.py": "def f():\n    '''Later.'''\n    raise NotImplementedError\n\ndef g():\n    return 1\n",
    "b.ts": "function f() { throw new Error('Not implemented') }\nfunction g() { throw new Error('closed') }\n",
    "c.go": 'package c\nfunc F() { panic("not implemented") }\nfunc G() int { return 1 }\n',
    "d.rs": "fn f() { todo!() }\nfn g() -> u8 { 1 }\n",
    "e.java": "class E { void f() { throw new UnsupportedOperationException(); } int g() { return 1; } }\n",
    "f.js": "const f = () => {}\nconst g = () => 1\n",
}


@pytest.mark.parametrize("path", STUBS)
def test_functions_that_do_nothing_are_scaffolding(path):
    todo = "# TODO more\n" if path.endswith("py") else "// TODO more\n"
    content = analyse("", {"z": ""}, {path: STUBS[path] + todo}).content
    assert [name.rpartition(".")[2].lower() for name in content["scaffolding"]["addedStubs"]] == ["f"]
    assert content["scaffolding"]["stubShare"] == 0.5
    assert content["scaffolding"]["addedTodos"] == 1


COMPLEX = {
    "python": (
        "def f(x):\n  for y in x:\n    if y and x or z:\n      pass\n    elif y: pass\n  return [a for a in x if a]\n",
        {"f": 8},
    ),
    "javascript": (
        """class A { m(x) { if (x && y) {} for (const z of x) {} switch (x) { case 1: break; default: } } }
        exports.g = (x) => x ? 1 : x ?? 2""",
        {"A.m": 5, "exports.g": 3},
    ),
    "typescript": ("class A { m(x: number): number { while (x) { x-- } return x || 1 } }", {"A.m": 3}),
    "tsx": ("const A = (p: P) => p.x ? <b>{p.y && 1}</b> : null", {"A": 3}),
    "go": (
        "package a\nfunc (s *Store) F(x int) int { for x > 1 {}\nswitch x { case 1: return 1; default: }\nreturn 2 }",
        {"Store.F": 3},
    ),
    "rust": (
        "impl Store { fn f(x: u8) -> u8 { if x > 1 && x < 3 { loop {} }\nmatch x { 1 => 1, _ => 2 } } }",
        {"Store.f": 6},
    ),
    "java": (
        """class A { int f(int x) { switch (x) { case 1: return 1; case 2: return 2; default: return 3; } }
        int g(int x) { try { x++; } catch (Exception e) { return x > 1 ? 1 : 2; } return x; } }""",
        {"A.f": 3, "A.g": 3},
    ),
}


@pytest.mark.parametrize("name", COMPLEX)
def test_complexity_counts_decisions_in_every_language(name):
    text, expected = COMPLEX[name]
    program = program_of(text, grammar(name), {})
    assert program.errors == 0
    found = functions_of(program.root, grammar(name))
    assert {name: each.complexity for name, each in found.items()} == expected


def test_a_function_within_another_counts_for_itself():
    text = "def f(x):\n    def g(y):\n        return y if y else 0\n    return g\n"
    found = functions_of(program_of(text, grammar("python"), {}).root, grammar("python"))
    assert {name: each.complexity for name, each in found.items()} == {"f": 1, "f.g": 2}


# -- Comparing -----------------------------------------------------------------------------------------------

STATEMENTS = st.lists(
    st.sampled_from(
        ["a = 1", "b = a + 2", "if a:\n    b()", "def f(x):\n    return x", "for i in a:\n    i()", "pass"]
    ),
    max_size=8,
).map("\n".join)


@settings(deadline=None, max_examples=60)
@given(STATEMENTS, STATEMENTS)
def test_similarity_is_a_share_and_1_only_of_the_same(before, after):
    forms: dict[Any, int] = {}
    old, new = (program_of(text, grammar("python"), forms).root for text in (before, after))
    there, back = compare(old, new), compare(new, old)
    share = similarity(there.before, there.after, there.matched)
    assert share is not None
    assert 0 < share <= 1
    assert (share == 1) == (old.form == new.form) == (not there.changes)
    assert there.matched <= min(there.before, there.after)
    inserted = sum(each.size for each in there.changes if each.change == "inserted")
    deleted = sum(each.size for each in there.changes if each.change == "deleted")
    updated = sum(each.change == "updated" for each in there.changes)
    assert there.matched + updated + inserted == there.after
    assert there.matched + updated + deleted == there.before
    assert (back.before, back.after) == (there.after, there.before)


def test_deep_programs_do_not_break_it():
    deep = "x = " + "(" * 3000 + "1" + ")" * 3000
    chain = "x = " + " + ".join(["1"] * 5000)
    forms: dict[Any, int] = {}
    old, new = (program_of(text, grammar("python"), forms).root for text in (deep, chain))
    assert compare(old, new).after == new.size


def test_long_lists_are_compared_in_no_time():
    before = "x = [" + ", ".join(str(number) for number in range(20_000)) + "]"
    finding = analyse("", {"a.py": before}, {"a.py": before.replace("777,", "778,", 1)})
    assert finding.content["metrics"]["astSimilarity"] > 0.99
