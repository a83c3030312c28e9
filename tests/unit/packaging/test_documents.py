"""The pages' tables are those of the code, and their links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from collector_processor.app.reporting import health
from collector_processor.config import reference
from collector_processor.guard.gates import GATES
from otel_benchmark import attributes
from otel_benchmark.vocabulary.__main__ import markdown

ROOT = Path(__file__).parents[3]
PAGES = [
    ROOT / "README.md",
    *(
        page
        for top in ("otel_benchmark", "collector_processor", "deploy", "tests")
        for page in sorted((ROOT / top).rglob("README.md"))
    ),
]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_page_on_running_has_every_setting() -> None:
    assert reference().strip() in read("deploy/README.md")


def test_the_fields_are_those_of_the_plugin() -> None:
    """Renew with: python -m otel_benchmark.vocabulary (below the page's head)."""
    assert read("otel_benchmark/FIELDS.md").endswith(markdown())


def test_the_page_on_running_has_every_condition_of_health() -> None:
    assert health.reference() in read("deploy/README.md")


def test_the_page_on_quality_has_every_gate() -> None:
    page = read("collector_processor/guard/README.md")
    table = page[page.index("| gate | severity |") :].partition("\n\n")[0]
    named = set(re.findall(r"[a-z]+(?:-[a-z]+)+|reported|enums|timing|propensity|pii|secrets", table))
    assert {gate.name for gate in GATES} <= named


def test_the_contract_knows_no_attribute_that_the_code_has_not() -> None:
    """Names in braces are spelt out: `arbiter.task.{id,type}`."""
    page = read("otel_benchmark/README.md")
    contract = page[page.index("## The span contract") :]
    known = {value for value in vars(attributes).values() if isinstance(value, str)}
    named = set()
    for stem, ends in re.findall(r"((?:arbiter|gen_ai|caws)\.[a-z_.]*)(?:\{([^}]*)\})?", contract):
        named |= {stem + end for end in ends.split(",")} if ends else {stem}
    unknown = {name.rstrip(".") for name in named} - known
    assert unknown <= {"caws", "caws.score", "caws.budget", "arbiter.provenance"}, unknown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", prose(page)):
        path, _, heading = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        if heading:
            assert heading in headings(file), target


def prose(page: Path) -> str:
    return re.sub(r"(?ms)^```.*?^```$", "", page.read_text(encoding="utf-8"))


def headings(page: Path) -> set[str]:
    """The anchors that a Markdown viewer gives to a page's headings."""
    found = re.findall(r"(?m)^#+ (.+)$", prose(page))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}
