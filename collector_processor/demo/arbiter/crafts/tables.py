"""Data analysis: summing up a small sales table that has gaps, unreadable amounts and rows sent twice."""

from __future__ import annotations

import csv
import io
import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from collector_processor.demo.arbiter.model import Files
from collector_processor.demo.arbiter.policy import Manner, Note, Policy, Report, Use

TABLE = "table.csv"
QUESTION = "question.json"
ANSWER = "answer.json"
SUMMARIES: Mapping[str, Callable[[Sequence[float]], float]] = {
    "mean": statistics.fmean,
    "median": statistics.median,
    "total": sum,
}
REGIONS = ("north", "east", "south", "west")
FIRST_ROWS = 15
"""What an agent looks at that doesn't clean."""


def rows_of(table: str) -> list[dict[str, str]]:
    """Rows of a CSV text."""
    return list(csv.DictReader(io.StringIO(table)))


def summarise(
    rows: Sequence[Mapping[str, str]], by: str, column: str, how: str, *, skip_unreadable: bool
) -> dict[str, float]:
    """Sum up a column by the values of another.

    Raises:
        KeyError: the table has no such column.
        ValueError: a number can't be read and is not to be skipped.
    """
    groups: dict[str, list[float]] = {}
    for row in rows:
        try:
            groups.setdefault(row[by], []).append(float(row[column]))
        except ValueError:
            if not skip_unreadable:
                raise
    return {group: round(SUMMARIES[how](values), 2) for group, values in groups.items()}


def without_repetitions(rows: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Return the rows without those that were sent twice: the same in every column."""
    return [dict(row) for row in dict.fromkeys(tuple(row.items()) for row in rows)]


@dataclass(frozen=True, slots=True)
class Summary:
    """Sum up `column` by `by`. The truth leaves out repeated rows and unreadable numbers."""

    table: str
    by: str
    column: str
    how: str

    def files(self) -> Files:
        """Table and question."""
        question = {"by": self.by, "column": self.column, "how": self.how}
        return {TABLE: self.table, QUESTION: json.dumps(question)}

    def check(self, files: Files) -> float:
        """Mean over the groups of 1 less five times the relative error, at least 0."""
        rows = without_repetitions(rows_of(self.table))
        truth = summarise(rows, self.by, self.column, self.how, skip_unreadable=True)
        try:
            answer = json.loads(files.get(ANSWER, "{}"))
            errors = [abs(float(answer[group]) - value) / (abs(value) or 1) for group, value in truth.items()]
        except (ValueError, KeyError, TypeError):
            return 0.0
        return statistics.fmean(max(0.0, 1 - 5 * error) for error in errors)


def draw_summary(complexity: str, random: Random, *, column: str = "amount") -> Summary:
    """Draw a sales table: clean, or with unreadable amounts, or with repeated rows as well."""
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(("order", "region", "amount", "pieces"))
    for order in range(40):
        amount: object = round(random.lognormvariate(4, 0.5), 2)
        if complexity != "trivial" and random.random() < 0.1:
            amount = random.choice(("", "n/a", "?"))
        row = (order, REGIONS[order % len(REGIONS)], amount, random.randint(1, 9))
        for _ in range(2 if complexity == "complex" and random.random() < 0.2 else 1):
            writer.writerow(row)
    return Summary(table.getvalue(), "region", column, random.choice(sorted(SUMMARIES)))


def analyse(manner: Manner) -> Policy:
    """Look at the table, clean it as thoroughly as one's manner is, sum it up, and answer."""
    question = yield Use("read_file", {"path": QUESTION})
    wanted = json.loads(str(question.data["text"]))
    arguments = {"path": TABLE, **wanted, "skip_unreadable": False, "drop_repeated": False, "rows": None}
    if manner.cleans == "not at all":
        arguments["rows"] = FIRST_ROWS
    elif manner.cleans == "thoroughly":
        profile = yield Use("profile_table", {"path": TABLE, "column": wanted["column"]})
        arguments["skip_unreadable"] = profile.data["unreadable"] > 0
        arguments["drop_repeated"] = profile.data["repeated"] > 0
    summed = yield Use("summarise_table", arguments)
    if not summed.success:
        yield Note("Some numbers can't be read. I leave them out.")
        summed = yield Use("summarise_table", {**arguments, "skip_unreadable": True})
    yield Use("write_file", {"path": ANSWER, "text": json.dumps(summed.data["summary"])})
    if arguments["rows"]:
        return Report(
            success=False,
            partial_success=True,
            failure_reason=f"an estimate from the first {FIRST_ROWS} rows",
            reflection="I should have read the whole table.",
        )
    return Report(success=True, reflection=f"Summed up {len(summed.data['summary'])} groups.")
