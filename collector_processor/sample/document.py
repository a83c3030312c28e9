"""The policies' TOML document → SamplingConfig. All that is wrong is said at once, with table and key."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Collection, Iterator
from importlib import resources
from typing import Any, Final, NamedTuple

from collector_processor.errors import ConfigError
from collector_processor.model.sampling import Facet, Spent
from collector_processor.sample.conditions import Problems, compiled
from collector_processor.sample.policies import EachStratum, Fixed, Policy, Rate, Rule, SamplingConfig, Unit

MAX_POLICIES: Final = 100

_MINUTE: Final = 60 * 10**9
_COSTS: Final = {
    Facet.CONVERSATION: Spent(1, 200_000, 0),
    Facet.AST: Spent(1, 50_000, 0),
    Facet.JUDGE: Spent(1, 10_000, 1),
    Facet.REFLECTION: Spent(1, 10_000, 1),
}
"""What a sample is taken to cost where the document doesn't say."""
_RATES: Final = {
    "per_hour": Unit.SAMPLES,
    "bytes_per_hour": Unit.BYTES,
    "calls_per_hour": Unit.CALLS,
}
_RULES: Final = ("always", "probability", *_RATES, "each_stratum_per_hour")
_SHARES: Final = ("initially", "at_most")
_TOP: Final = ("seed", "window_minutes", "cap", "cost")
_LARGEST: Final = 10**15


def default_document() -> str:
    """Return the document that holds where an operator gives none."""
    return resources.files(__package__ or __name__).joinpath("default.toml").read_text(encoding="utf-8")


def read_document(text: str, name: str) -> SamplingConfig:
    """Read a document; `name` is what errors call it.

    Raises:
        ConfigError: it can't be read, or something in it is unknown or out of range; a line for each.
    """
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{name} is no TOML document: {error}") from None
    problems = Problems()
    try:
        config = _Reader(problems).config(document)
    except RecursionError:
        raise ConfigError(f"{name}: conditions are nested too deeply") from None
    if problems:
        raise ConfigError("\n".join(f"{name}: {problem}" for problem in problems))
    return config


class _Reader(NamedTuple):
    """Reads parts of a document; what is wrong goes to `problems`, and a good value stands in for it."""

    problems: Problems

    def config(self, document: dict[str, Any]) -> SamplingConfig:
        self._unknown(document, "", [*_TOP, *Facet])
        return SamplingConfig(
            seed=self._seed(document.get("seed", "otel-benchmark")),
            window=round(self._number(document, "window_minutes", "", 1, 1440, default=60) * _MINUTE),
            policies=tuple(self._policies(document)),
            caps=dict(self._caps(document.get("cap", {}))),
            costs=_COSTS | dict(self._costs(document.get("cost", {}))),
        )

    def _seed(self, value: Any) -> str:
        if not isinstance(value, str) or not value:
            self.problems.add("seed", "has to be a text of at least one letter")
        return str(value)

    def _policies(self, document: dict[str, Any]) -> Iterator[Policy]:
        count = 0
        for facet in Facet:
            tables = document.get(facet, [])
            if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
                self.problems.add(facet, f"has to be a list of policies, each below a line [[{facet}]]")
                continue
            names: set[str] = set()
            for number, table in enumerate(tables, 1):
                policy = self._policy(facet, table, f"{facet}[{number}]", names)
                names.add(policy.name)
                count += 1
                yield policy
        if count > MAX_POLICIES:
            self.problems.add("policies", f"there are {count}: {MAX_POLICIES} is the most")

    def _policy(self, facet: Facet, table: dict[str, Any], place: str, others: Collection[str]) -> Policy:
        name = table.get("name")
        if not isinstance(name, str) or not name.isprintable() or not 1 <= len(name) <= 100:
            self.problems.add(f"{place}.name", "each policy needs a name of up to 100 printable letters")
            name = ""
        elif name in others:
            self.problems.add(f"{place}.name", f"a policy of {facet} before it is called {name!r} too")
        when = table.get("when", {})
        if not isinstance(when, dict) or (not when and "when" in table):
            self.problems.add(f"{place}.when", "has to be a condition, such as { task.type = 'research' }")
            when = {}
        compiled(when, f"{place}.when", self.problems)
        self._unknown(table, place, ["name", "when", *_RULES, *_SHARES])
        return Policy(facet, name, self._rule(table, place), when)

    def _rule(self, table: dict[str, Any], place: str) -> Rule:
        said = [key for key in _RULES if key in table]
        if len(said) != 1:
            self.problems.add(place, f"needs exactly one of {', '.join(_RULES)}; it has {' and '.join(said) or 'none'}")
            return Fixed(1.0)
        key = said[0]
        if key in ("always", "probability"):
            for share in _SHARES:
                if share in table:
                    self.problems.add(f"{place}.{share}", f"is for policies with {', '.join(_RULES[2:])}")
            if key == "probability":
                return Fixed(self._number(table, key, place, 0, 1, above=True, default=1))
            if table[key] is not True:
                self.problems.add(f"{place}.always", "has to be true; `probability` keeps a share")
            return Fixed(1.0)
        per_hour = self._number(table, key, place, 0, _LARGEST, above=True, default=1)
        initially = self._number(table, "initially", place, 0, 1, above=True, default=0.1)
        at_most = self._number(table, "at_most", place, 0, 1, above=True, default=1)
        if key in _RATES:
            return Rate(_RATES[key], per_hour, min(initially, at_most), at_most)
        return EachStratum(per_hour, min(initially, at_most), at_most)

    def _caps(self, table: Any) -> Iterator[tuple[Facet, int]]:
        for facet in self._facets(table, "cap", "{ judge = 500 }"):
            yield facet, self._whole(table, facet, "cap", 0, 10**6)

    def _costs(self, table: Any) -> Iterator[tuple[Facet, Spent]]:
        for facet in self._facets(table, "cost", "{ judge = { bytes = 8000, calls = 3 } }"):
            place, cost = f"cost.{facet}", table[facet]
            if not isinstance(cost, dict):
                self.problems.add(place, "has to be a table with bytes and calls")
                continue
            self._unknown(cost, place, ["bytes", "calls"])
            usual = _COSTS[facet]
            cost = {"bytes": usual.bytes, "calls": usual.calls} | cost
            yield (
                facet,
                Spent(1, self._whole(cost, "bytes", place, 1, _LARGEST), self._whole(cost, "calls", place, 0, 1000)),
            )

    def _facets(self, table: Any, place: str, example: str) -> list[Facet]:
        if not isinstance(table, dict):
            self.problems.add(place, f"has to be a table such as {example}")
            return []
        self._unknown(table, place, [*Facet])
        return [facet for facet in Facet if facet in table]

    def _number(
        self,
        table: dict[str, Any],
        key: str,
        place: str,
        least: float,
        most: float,
        *,
        above: bool = False,
        default: float,
    ) -> float:
        value = table.get(key, default)
        good = isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most
        if not good or (above and value == least):
            bounds = f"above {least:g}, up to {most:g}" if above else f"from {least:g} to {most:g}"
            self.problems.add(_joined(place, key), f"has to be a number {bounds}")
            return default
        return float(value)

    def _whole(self, table: dict[str, Any], key: str, place: str, least: int, most: int) -> int:
        value = table[key]
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            self.problems.add(_joined(place, key), f"has to be a whole number from {least} to {most}")
            return least
        return value

    def _unknown(self, table: dict[str, Any], place: str, known: Collection[str]) -> None:
        for key in sorted(table.keys() - {*known}):
            (close,) = difflib.get_close_matches(key[:100], known, n=1) or [""]
            advice = f"did you mean {close}?" if close else f"there are {', '.join(known)}"
            self.problems.add(_joined(place, key), f"no such key; {advice}")


def _joined(place: str, key: str) -> str:
    return f"{place}.{key}" if place else key
