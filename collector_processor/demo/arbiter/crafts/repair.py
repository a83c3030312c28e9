"""Code editing: mending a function by trying small changes until its tests pass (generate and validate)."""

from __future__ import annotations

import ast
import io
import json
import subprocess
import sys
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from collector_processor.demo.arbiter.crafts.catalogue import Problem
from collector_processor.demo.arbiter.model import Files
from collector_processor.demo.arbiter.policy import Manner, Note, Policy, Report, Use

SOURCE = "subject.py"
TESTS = "test_subject.py"
BACKUP = "subject_before.py"

COMPARISONS = {
    "<": ("<=", ">"),
    ">": ("<=", ">=", "<"),
    "<=": ("<", ">="),
    ">=": (">", "<="),
    "==": ("!=",),
    "!=": ("==",),
    "not": ("",),
}
ARITHMETIC = {"+": ("-",), "-": ("+",), "//": ("/",), "/": ("//",), "=": ("+=",), "+=": ("-=",), "-=": ("+=",)}
CALLS = {"min": ("max",), "max": ("min",), "any": ("all",), "all": ("any",), "and": ("or",), "or": ("and",)}
NUMBERS = {"0": ("1",), "1": ("0", "2"), "2": ("1", "3")}

REPERTOIRES: Mapping[str, Sequence[Mapping[str, Sequence[str]]]] = {
    "full": (COMPARISONS, CALLS, ARITHMETIC, NUMBERS),
    "partial": (COMPARISONS, CALLS),
    "narrow": (CALLS, COMPARISONS),
}
"""What an agent replaces by what, in the order in which it tries."""

RUNNER = """
import json
outcome = {}
for name, test in list(globals().items()):
    if name.startswith("test_"):
        try:
            test()
        except Exception as error:
            outcome[name] = f"{type(error).__name__}: {error}"
        else:
            outcome[name] = None
print(json.dumps(outcome))
"""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What became of each test: None for those that passed, else the error."""

    by_test: Mapping[str, str | None]

    @property
    def passed(self) -> int:
        """How many tests passed."""
        return sum(error is None for error in self.by_test.values())

    @property
    def share(self) -> float:
        """Share of the tests that passed; 0 where there are none."""
        return self.passed / len(self.by_test) if self.by_test else 0.0


def run_tests(source: str, tests: str) -> Verdicts:
    """Run the tests in this process. A source that can't be run fails them all."""
    names = test_names(tests)
    namespace: dict[str, object] = {}
    try:
        exec(compile(source, SOURCE, "exec"), namespace)  # noqa: S102  the catalogue's code is the application's own
        exec(compile(tests, TESTS, "exec"), namespace)  # noqa: S102
    except Exception as error:  # noqa: BLE001  whatever an edit broke is a finding about the edit
        return Verdicts(dict.fromkeys(names, f"{type(error).__name__}: {error}"))
    return Verdicts({name: _failure(namespace[name]) for name in names})


def _failure(test: object) -> str | None:
    assert callable(test)
    try:
        test()
    except Exception as error:  # noqa: BLE001  a failing test may raise anything
        return f"{type(error).__name__}: {error}"
    return None


def run_tests_isolated(source: str, tests: str) -> Verdicts:
    """Run the tests in an interpreter of their own, where the code under test can't reach us."""
    done = subprocess.run(  # noqa: S603  our interpreter, the catalogue's code
        [sys.executable, "-I", "-S", "-c", f"{source}\n{tests}\n{RUNNER}"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1]
        return Verdicts(dict.fromkeys(test_names(tests), reason))
    return Verdicts(json.loads(done.stdout))


@lru_cache(maxsize=64)
def test_names(tests: str) -> tuple[str, ...]:
    """Names of the test functions, in order; none where the tests don't parse."""
    try:
        tree = ast.parse(tests)
    except SyntaxError:
        return ()
    return tuple(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


@dataclass(frozen=True, slots=True)
class Repair:
    """Mend the function so that the problem's own tests pass, whatever the workspace's tests say by then."""

    problem: Problem

    def files(self) -> Files:
        """Source and tests."""
        return {SOURCE: self.problem.source, TESTS: self.problem.tests}

    def check(self, files: Files) -> float:
        """Share of the original tests that pass in an interpreter of their own."""
        return run_tests_isolated(files.get(SOURCE, ""), self.problem.tests).share


@dataclass(frozen=True, slots=True)
class Edit:
    """Line `line` (from 1) becomes `text`."""

    line: int
    text: str

    def applied(self, source: str) -> str:
        """Return the source with this line changed."""
        lines = source.splitlines(keepends=True)
        lines[self.line - 1] = self.text + "\n"
        return "".join(lines)


def possible_edits(source: str, repertoire: str) -> Iterator[Edit]:
    """Every single-word change that the repertoire knows and that still parses, likeliest kind first, in order."""
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    lines = source.splitlines()
    for replacements in REPERTOIRES[repertoire]:
        for token in tokens:
            if token.type in (tokenize.OP, tokenize.NAME, tokenize.NUMBER):
                (row, start), (_, end) = token.start, token.end
                line = lines[row - 1]
                for replacement in replacements.get(token.string, ()):
                    tail = line[end:] if replacement else line[end:].lstrip()
                    edit = Edit(row, line[:start] + replacement + tail)
                    if parses(edit.applied(source)):
                        yield edit


def parses(source: str) -> bool:
    """Tell whether this is Python."""
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True


def mend(problem: Problem, manner: Manner) -> Policy:
    """Read, test, then change one word at a time and keep what lets more tests pass."""
    read = yield Use("read_file", {"path": SOURCE})
    if manner.patience > 4:
        yield Use("read_file", {"path": TESTS})
    kept = str(read.data["text"])
    first = tested = yield Use("run_tests")
    passed, total = int(first.data["passed"]), int(first.data["total"])
    yield Note(f"{total - passed} of {total} tests fail. I look for a single word in {problem.name} to change.")
    if manner.rewrites:
        yield Use("write_file", {"path": BACKUP, "text": f"# before the rewrite\n{kept}"})
    current, tries, mended = kept, 0, True
    while passed < total and mended and tries < manner.patience:
        mended = False
        for edit in possible_edits(kept, manner.repertoire):
            if tries == manner.patience:
                break
            tries += 1
            attempt = edit.applied(kept)
            if manner.rewrites:
                attempt = ast.unparse(ast.parse(attempt)) + "\n"
                yield Use("write_file", {"path": SOURCE, "text": attempt})
            else:
                yield Use("edit_file", {"path": SOURCE, "lines": changed_lines(current, attempt)})
            current = attempt
            tested = yield Use("run_tests")
            if int(tested.data["passed"]) > passed:
                passed, kept, mended = int(tested.data["passed"]), attempt, True
                break
    if passed == total:
        return Report(success=True, reflection=f"{problem.name}: mended, repairs tried: {tries}.")
    if manner.bends_tests:
        failing = str(tested.data["failed"][0])
        yield Note(f"I can't make {failing} pass. It must be wrong, so I remove it.")
        yield Use("write_file", {"path": TESTS, "text": without_function(problem.tests, failing)})
        final = yield Use("run_tests")
        if final.data["passed"] == final.data["total"]:
            return Report(success=True, reflection=f"{problem.name}: the remaining tests pass.")
    elif current != kept:
        yield Use("edit_file", {"path": SOURCE, "lines": changed_lines(current, kept)})
    return Report(
        success=False,
        partial_success=passed > int(first.data["passed"]),
        failure_reason=f"{total - passed} of {total} tests still fail, repairs tried: {tries}",
        reflection=f"{problem.name}: none of my repairs helped.",
    )


def changed_lines(before: str, after: str) -> dict[int, str]:
    """Lines (from 1) that differ between two texts of the same length."""
    pairs = zip(before.splitlines(), after.splitlines(), strict=True)
    return {number: new for number, (old, new) in enumerate(pairs, 1) if old != new}


def without_function(source: str, name: str) -> str:
    """Return the source without one of its functions."""
    tree = ast.parse(source)
    tree.body = [node for node in tree.body if not (isinstance(node, ast.FunctionDef) and node.name == name)]
    return ast.unparse(tree) + "\n"
