"""What is written twice is the same: the README's tables and the code that they are made from."""

from __future__ import annotations

import re
from pathlib import Path

from collector_processor.app.reporting import health
from collector_processor.config import reference
from collector_processor.guard.gates import GATES
from otel_benchmark import attributes
from otel_benchmark.vocabulary.__main__ import markdown

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_has_every_setting() -> None:
    assert reference().strip() in README


def test_the_fields_are_those_of_the_plugin() -> None:
    """Renew with: python -m otel_benchmark.vocabulary (below the page's head)."""
    assert (ROOT / "otel_benchmark/FIELDS.md").read_text(encoding="utf-8").endswith(markdown())


def test_the_readme_has_every_condition_of_health() -> None:
    assert health.reference() in README


def test_the_readme_has_every_gate() -> None:
    table = README[README.index("| gate | severity |") :].partition("\n\n")[0]
    named = set(re.findall(r"[a-z]+(?:-[a-z]+)+|reported|enums|timing|propensity|pii|secrets", table))
    assert {gate.name for gate in GATES} <= named


def test_the_readme_knows_no_attribute_that_the_contract_has_not() -> None:
    """Names in braces are spelt out: `arbiter.task.{id,type}`."""
    contract = README[README.index("### The span contract") : README.index("## The record")]
    known = {value for value in vars(attributes).values() if isinstance(value, str)}
    named = set()
    for stem, ends in re.findall(r"((?:arbiter|gen_ai|caws)\.[a-z_.]*)(?:\{([^}]*)\})?", contract):
        named |= {stem + end for end in ends.split(",")} if ends else {stem}
    unknown = {name.rstrip(".") for name in named} - known
    assert unknown <= {"caws", "caws.score", "caws.budget", "arbiter.provenance"}, unknown
