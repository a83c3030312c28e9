"""`otel-benchmark plugin check`: what the environment would wrap, and which fields a sample of objects would fill.

A sample is a JSON object with a section a span, each with what one call shows:

    {"route": {"self": {...}, "args": [{...}], "kwargs": {...}, "result": {...}, "exception": "message"}}

A section without any of these words is the task itself (`task`) or what the call returns (the others).
"""

from __future__ import annotations

import importlib
import json
import logging
import sys
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from otel_benchmark.attributes import CONTENT_ATTRIBUTES, Kind
from otel_benchmark.environment import TARGETS, Settings
from otel_benchmark.inputs import Parameter, Signature
from otel_benchmark.mapping import ROOTS
from otel_benchmark.patches import Patches, TargetError
from otel_benchmark.plans import Plan
from otel_benchmark.runtime import RUNTIME
from otel_benchmark.vocabulary import CANDIDATES, FIELDS, SECTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from otel_benchmark.environment import Target


@dataclass(frozen=True, slots=True)
class TargetReport:
    """One named target: the callables that would be wrapped, or why it can't be."""

    variable: str
    target: str
    wrapped: list[str] = field(default_factory=list)
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class SectionReport:
    """One section of the sample: field → value that would be recorded, and the fields that would stay empty."""

    filled: dict[str, Any] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Report:
    """What the plugin would do. `problems` holds what settings and mapping file get wrong."""

    targets: list[TargetReport]
    sections: dict[str, SectionReport]
    problems: list[str]

    @property
    def good(self) -> bool:
        """Whether all that was asked for would be done."""
        return not self.problems and all(target.problem is None for target in self.targets)


def main(*, sample: Path | None = None, as_json: bool = False) -> int:
    """Print the report for this process's environment; return the command's exit code, 1 where something is wrong."""
    if sys.path[:1] != [""]:
        sys.path.insert(0, "")  # as `python -m arbiter` has it, and a console script hasn't
    problems: list[str] = []
    handler = _Collector(problems)
    log = logging.getLogger("otel_benchmark")
    log.addHandler(handler)
    propagate, log.propagate = log.propagate, False
    try:
        report = check(Settings.from_environ(), _objects(sample), problems)
    except (OSError, ValueError) as error:
        print(f"--sample {sample}: {error}", file=sys.stderr)  # noqa: T201 - the command's output
        return 2
    finally:
        log.removeHandler(handler)
        log.propagate = propagate
    print(json.dumps({**asdict(report), "good": report.good}, indent=2) if as_json else render(report))  # noqa: T201
    return 0 if report.good else 1


def check(settings: Settings, sample: Mapping[str, Any] | None = None, problems: list[str] | None = None) -> Report:
    """Wrap the targets, read the sample as a call of them would be read, and put everything back."""
    problems = [] if problems is None else problems
    patches = Patches()
    RUNTIME.configure(settings)
    try:
        targets = [_try(target, patches) for target in settings.targets]
        if not targets:
            problems.append(f"nothing is named: set {', '.join(TARGETS.values())}")
        for name in sample or {}:
            if name not in SECTIONS:
                problems.append(f"the sample's {name!r} is no section ({', '.join(SECTIONS)})")
        sections = {
            name: _read(kind, (sample or {})[name], patches)
            for name, kind in SECTIONS.items()
            if name in (sample or {})
        }
        for kind in Kind:
            RUNTIME.vocabulary(kind)  # reads the mapping file, whatever is named or sampled
        return Report(targets, sections, problems)
    finally:
        patches.undo()
        RUNTIME.configure()


def render(report: Report) -> str:
    """Return the report as text for a terminal."""
    lines = ["Targets"]
    for target in report.targets:
        lines.append(f"  {target.variable}={target.target}")
        lines += [f"    wraps {each}" for each in target.wrapped]
        if target.problem is not None:
            lines.append(f"    PROBLEM {target.problem}")
    for name, section in report.sections.items():
        lines += ["", f"Sample [{name}]: {len(section.filled)} fields filled, {len(section.empty)} empty"]
        lines += [f"  {key:28} {json.dumps(value, default=str)}" for key, value in section.filled.items()]
        if section.empty:
            lines.append(f"  empty: {', '.join(section.empty)}")
    if report.problems:
        lines += ["", *(f"PROBLEM {problem}" for problem in report.problems)]
    return "\n".join(lines)


def _objects(sample: Path | None) -> dict[str, Any]:
    objects = json.loads(sample.read_text("utf-8")) if sample is not None else {}
    if not isinstance(objects, dict):
        raise ValueError("it holds no JSON object")  # noqa: TRY004 - of a file's content, not of a caller's argument
    return objects


def _try(target: Target, patches: Patches) -> TargetReport:
    variable = TARGETS[target.kind]
    if target.module == "__main__":
        return TargetReport(variable, str(target), problem="__main__ can't be wrapped from outside: decorate it")
    try:
        module = importlib.import_module(target.module)
        return TargetReport(variable, str(target), wrapped=patches.apply(target, module))
    except TargetError as error:
        return TargetReport(variable, str(target), problem=str(error))
    except Exception as error:  # noqa: BLE001 - importing a module runs any code
        return TargetReport(variable, str(target), problem=f"{target.module} can't be imported: {error!r}")


def _read(kind: Kind, section: Any, patches: Patches) -> SectionReport:
    call = section if isinstance(section, dict) and set(section) & set(ROOTS) else None
    if call is None:
        call = {"args": [section]} if kind is Kind.TASK else {"result": section}
    args, kwargs = list(call.get("args", [])), dict(call.get("kwargs", {}))
    error = Exception(str(call["exception"])) if call.get("exception") is not None else None
    plan = patches.plan(kind)
    bound = plan.owned if plan is not None else "self" in call
    if plan is None:
        names = [Parameter(name, None) for name in kwargs]
        parameters = [Parameter("", index + int(bound)) for index in range(len(args))]
        plan = Plan(
            RUNTIME.vocabulary(kind), kind, None, Signature((*parameters, *names), owned=bound, bound=bound), None
        )
    given = (call.get("self"), *args) if bound else tuple(args)
    out: dict[str, Any] = {}
    plan.read_inputs(given, kwargs, out)
    outcome: dict[str, Any] = {}
    if call.get("result") is not None:
        plan.read_outcome(call["result"], outcome)
    plan.read_mapped(plan.roots(given, kwargs), call.get("result"), error, outcome)
    events = plan.read_list(plan.lists, outcome, tools_are_numbered=True) if plan.lists in outcome else ()
    out.update(outcome)
    filled = {each.key: out[each.attribute] for each in FIELDS[kind] if each.attribute in out}
    if events and plan.lists is not None:
        filled[plan.lists] = [attributes for _, attributes in events]
    known = [
        f.key
        for f in FIELDS[kind]
        if f.key != CANDIDATES and (RUNTIME.settings.capture_content or f.attribute not in CONTENT_ATTRIBUTES)
    ]
    return SectionReport(filled, [key for key in known if key not in filled])


class _Collector(logging.Handler):
    """Turns the plugin's warnings into lines of the report."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._problems = problems

    def emit(self, record: logging.LogRecord) -> None:
        self._problems.append(record.getMessage())
