"""The API for arbiters that can be edited: each lifecycle span as a context manager and as a decorator.

    with task(id="t-1", type="research", tenant_id="acme") as current:
        with route(router="bandit") as decision:
            decision.record(selected_id="a-7", strategy="multi-armed-bandit", propensity=0.9)
            decision.candidate("a-7", score=0.8)

    @tool_call
    async def read_file(path: str) -> str: ...

A late evaluation, by any process at any time, names the task's span, whose `traceparent` was kept with its result:

    with evaluation(of=kept, task_id="t-1", evaluator_name="reviewer") as verdict:
        verdict.record(overall_score=0.9)

Both forms work in sync and async code. A decorated function is read like a target of the environment, by mapping and
common names; keywords are fields of the span, dots written as underscores (`selected_id` for `selected.id`).
"""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

from opentelemetry.context import Context, get_current
from opentelemetry.trace import SpanContext, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from otel_benchmark import attributes as a
from otel_benchmark import composites, values
from otel_benchmark.attributes import Kind
from otel_benchmark.fields import Value
from otel_benchmark.inputs import Signature
from otel_benchmark.opening import open_span
from otel_benchmark.plans import Plan
from otel_benchmark.runtime import RUNTIME
from otel_benchmark.spans import LIFECYCLE_KEY, LifecycleSpan
from otel_benchmark.vocabulary import CANDIDATES, FIELDS, GATES, ITEM_FIELDS, TURNS
from otel_benchmark.wrappers import plan_for, wrap

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from opentelemetry.trace import Span

    from otel_benchmark.extract import Attributes
    from otel_benchmark.fields import Field
    from otel_benchmark.plans import Vocabulary

logger = logging.getLogger(__name__)

_F = TypeVar("_F", bound="Callable[..., Any]")
_NO_PARAMETERS: Final = Signature(())
_TRACE_CONTEXT: Final = TraceContextTextMapPropagator()
_TRACEPARENT: Final = "traceparent"
_warned: set[tuple[str, str]] = set()


@functools.lru_cache(maxsize=128)
def _plan_of_block(vocabulary: Vocabulary, router: str | None) -> Plan:
    """Return the plan of all `with` blocks of one kind: making one costs more than their spans."""
    return Plan(vocabulary, vocabulary.kind, None, _NO_PARAMETERS, router)


class Recording:
    """An open span of the API: what is known of it is added while it runs and written when it ends."""

    def __init__(self, kind: Kind, active: LifecycleSpan | None) -> None:
        self._kind = kind
        self._active = active
        self._candidates: list[Attributes] = []

    @property
    def span(self) -> Span | None:
        """The OpenTelemetry span, None where none could be opened."""
        return self._active.span if self._active is not None else None

    @property
    def traceparent(self) -> str | None:
        """Where the span is, in W3C's form, for whoever evaluates its task later; None where none could be opened."""
        carrier: dict[str, str] = {}
        if self.span is not None:
            _TRACE_CONTEXT.inject(carrier, set_span_in_context(self.span, Context()))
        return carrier.get(_TRACEPARENT)

    def record(self, outcome: Any = None, /, **fields: Any) -> None:
        """Add what an object says, read like a returned value, and single fields; fields win, later calls too."""
        active = self._active
        if active is None:
            return
        found: Attributes = {}
        if outcome is not None:
            active.plan.read_outcome(outcome, found)
            key = active.plan.lists
            if key in found:
                active.events += active.plan.read_list(key, found, tools_are_numbered=active.tools_are_numbered)
        active.recorded = {**(active.recorded or {}), **found, **attributes_of(self._kind, fields)}

    def candidate(self, agent_id: str, **fields: Any) -> None:
        """Add an agent that the router considered: score, reason, propensity, capability_score and so on."""
        if self._active is not None:
            self._candidates.append(_item(CANDIDATES, {"id": agent_id, **fields}))

    def gate(self, name: str, **fields: Any) -> None:
        """Add a quality gate or criterion of an evaluation: passed, score, threshold, mandatory, label, explanation."""
        if self._active is not None:
            self._active.events += ((a.GEN_AI_EVALUATION_EVENT, _item(GATES, {"name": name, **fields})),)

    def turn(self, number: int | None = None, **fields: Any) -> None:
        """Add a turn of an execution that called no tool: information_gain, task_progress, reward and so on."""
        if self._active is not None:
            self._active.events += ((a.TURN_EVENT, _item(TURNS, {"number": number, **fields})),)

    def close(self, error: BaseException | None) -> None:
        """End the span; the context manager calls it."""
        active = self._active
        if active is None:
            return
        if self._candidates:
            active.recorded = {**composites.arrays(self._candidates), **(active.recorded or {})}
        active.close(None, error)


class Lifecycle:
    """One of `task, route, execution, tool_call, evaluation`, configured: enter it, or decorate with it."""

    def __init__(self, kind: Kind, fields: dict[str, Any]) -> None:
        self._kind = kind
        self._router = values.identifier(fields.pop("router", None)) if kind is Kind.ROUTE else None
        self._linked = _linked(fields.pop("of", None)) if kind is Kind.EVALUATION else None
        self._given = attributes_of(kind, fields)
        self._open: list[Recording] = []

    def __call__(self, function: _F) -> _F:
        """Decorate a function or another callable object."""
        if self._linked is not None:
            _warn(self._kind.name.lower(), "of", "belongs to one evaluation, so not to a decorator: use `with`")
        decorated: _F = _decorate(self._kind, function, self._given)
        return decorated

    def __enter__(self) -> Recording:
        plan = _plan_of_block(RUNTIME.vocabulary(self._kind), self._router)
        recording = Recording(self._kind, open_span(plan, (), {}, self._given, self._linked))
        self._open.append(recording)
        return recording

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._open.pop(self._innermost()).close(error)

    def _innermost(self) -> int:
        """Return which recording ends now: one manager may be entered by several tasks and threads at once."""
        active = get_current().get(LIFECYCLE_KEY) if self._open[-1].span is not None else None
        while isinstance(active, LifecycleSpan):
            for index, recording in enumerate(self._open):
                if recording.span is active.span:
                    return index
            active = active.parent
        return -1

    async def __aenter__(self) -> Recording:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)


@overload
def task(function: _F, /) -> _F: ...
@overload
def task(**fields: Any) -> Lifecycle: ...
def task(function: Any = None, /, **fields: Any) -> Any:
    """Record a task, the unit of the benchmark: id, type, complexity, requirements, tenant_id, group_id and so on."""
    return _lifecycle(Kind.TASK, function, fields)


@overload
def route(function: _F, /) -> _F: ...
@overload
def route(**fields: Any) -> Lifecycle: ...
def route(function: Any = None, /, **fields: Any) -> Any:
    """Record a routing decision: router (its name), selected_id, strategy, confidence, propensity and so on."""
    return _lifecycle(Kind.ROUTE, function, fields)


@overload
def execution(function: _F, /) -> _F: ...
@overload
def execution(**fields: Any) -> Lifecycle: ...
def execution(function: Any = None, /, **fields: Any) -> Any:
    """Record an agent's execution: agent_id, agent_name, model, success, input_tokens, cost_usd and so on."""
    return _lifecycle(Kind.EXECUTION, function, fields)


@overload
def tool_call(function: _F, /) -> _F: ...
@overload
def tool_call(**fields: Any) -> Lifecycle: ...
def tool_call(function: Any = None, /, **fields: Any) -> Any:
    """Record a tool call: name, call_id, success, effective, turn_number, turn_reward and so on."""
    return _lifecycle(Kind.TOOL_CALL, function, fields)


@overload
def evaluation(function: _F, /) -> _F: ...
@overload
def evaluation(**fields: Any) -> Lifecycle: ...
def evaluation(function: Any = None, /, **fields: Any) -> Any:
    """Record an evaluation: overall_score, rubric_format, caws_compliant, a late one's task_id and so on.

    `of` is the span of the task that a late one is about: its `traceparent`, or its SpanContext. The evaluation is then
    a root span with a link to it, and needs no task id.
    """
    return _lifecycle(Kind.EVALUATION, function, fields)


def attributes_of(kind: Kind, fields: dict[str, Any]) -> Attributes:
    """Return the attributes of fields given by keyword; an unknown one or a wrong type is one warning, and left out."""
    known = {field.key.replace(".", "_"): field for field in FIELDS[kind] if field.value is not Value.ITEMS}
    return _convert(kind.name.lower(), known, fields)


def _linked(of: Any) -> SpanContext | None:
    """Return the span that `of` names; what names none is one warning, and left out."""
    if isinstance(of, str):
        of = get_current_span(_TRACE_CONTEXT.extract({_TRACEPARENT: of}, Context())).get_span_context()
    if of is None or (isinstance(of, SpanContext) and of.is_valid):
        return of
    _warn(Kind.EVALUATION.name.lower(), "of", "takes a task's traceparent (00-<trace id>-<span id>-01) or SpanContext")
    return None


def _lifecycle(kind: Kind, function: Any, fields: dict[str, Any]) -> Any:
    if function is not None:
        return _decorate(kind, function, None)
    return Lifecycle(kind, fields)


def _decorate(kind: Kind, function: Any, given: Attributes | None) -> Any:
    if isinstance(function, (staticmethod, classmethod)):
        inner = function.__func__
        plan = plan_for(kind, (kind, inner.__qualname__), inner, owned=isinstance(function, classmethod))
        return type(function)(wrap(inner, plan, given))
    if not callable(function) or isinstance(function, type):
        _warn(kind.name.lower(), repr(function), "can't be decorated: decorate a function or a method")
        return function
    first = _receiver(function)
    key = function.__name__ if first else getattr(function, "__qualname__", repr(function))
    plan = plan_for(kind, (kind, key), function, owned=first is not None, bound=first == "self")
    return wrap(function, plan, given)


def _receiver(function: Any) -> str | None:
    # A decorator sees a plain function: a method has its class in the qualified name, and a first parameter that
    # every Python programmer calls the same.
    parent = getattr(function, "__qualname__", "").rpartition(".")[0]
    code = getattr(function, "__code__", None)
    if not parent or parent.endswith("<locals>") or code is None or not code.co_argcount:
        return None
    first: str = code.co_varnames[0]
    return first if first in {"self", "cls"} else None


def _item(key: str, fields: dict[str, Any]) -> Attributes:
    return _convert(key, {field.key: field for field in ITEM_FIELDS[key]}, fields)


def _convert(where: str, known: dict[str, Field], fields: dict[str, Any]) -> Attributes:
    found: Attributes = {}
    for name, value in fields.items():
        field = known.get(name)
        if field is None:
            _warn(where, name, f"is no field; known are {', '.join(sorted(known))}")
        elif value is None or (field.value is Value.CONTENT and not RUNTIME.settings.capture_content):
            continue
        elif (converted := field.convert(value)) is None:
            _warn(where, name, f"takes {field.value.value}, not {type(value).__name__}")
        else:
            found.update(dict.fromkeys(field.attributes, converted))
    return found


def _warn(where: str, name: str, problem: str) -> None:
    if (where, name) not in _warned:
        _warned.add((where, name))
        logger.warning("otel_benchmark %s: %s %s", where, name, problem)
