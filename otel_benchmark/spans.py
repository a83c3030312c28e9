"""Lifecycle spans: opened around a call, current while its body runs, closed in every case.

Nothing here raises into the host: what goes wrong inside is logged once per place, and the host's call goes on
without a span. The context that is attached carries the span and our LifecycleSpan together; it is taken off again
only where it still is the current one, so that a generator finished by the garbage collector disturbs nobody.
"""

from __future__ import annotations

import logging
import uuid
from time import perf_counter_ns, time_ns
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.context import (
    _SUPPRESS_INSTRUMENTATION_KEY,  # every instrumentation reads it; upstream has no public name for it
    Context,
    attach,
    create_key,
    get_current,
)
from opentelemetry.trace import INVALID_SPAN, Link, NonRecordingSpan, Span, StatusCode, set_span_in_context

from otel_benchmark import attributes as a
from otel_benchmark import composites, values
from otel_benchmark.attributes import Kind
from otel_benchmark.plans import NAME_ATTRIBUTES
from otel_benchmark.runtime import RUNTIME, report
from otel_benchmark.tasks import EMITTER, KNOWN_TASKS, TaskState
from otel_benchmark.vocabulary import CANDIDATES

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext

    from otel_benchmark.extract import Attributes
    from otel_benchmark.plans import Plan

logger = logging.getLogger(__name__)

# One dictionary holds both keys, so that a span costs one copy of the context. The API keeps its own key private:
# it is read off a context that holds nothing else.
_SPAN_KEY: Final = next(iter(set_span_in_context(INVALID_SPAN, Context())))
_LIFECYCLE_KEY: Final = create_key("otel-benchmark-lifecycle")
_MAX_EVENTS: Final = 100


class LifecycleSpan:
    """One open lifecycle span. `open_span` makes it; `close` ends it, once."""

    __slots__ = (
        "_previous",
        "attributes",
        "candidates",
        "context",
        "events",
        "finished",
        "inputs",
        "instance",
        "parent",
        "plan",
        "recorded",
        "span",
        "task",
        "tools_are_numbered",
    )

    def __init__(
        self, plan: Plan, span: Span, context: Context, previous: Context, parent: LifecycleSpan | None
    ) -> None:
        self.plan = plan
        self.span = span
        self.context = context
        self._previous: Context | None = previous
        self.parent = parent
        self.task: TaskState | None = None
        self.instance: Any = None
        self.attributes: Attributes = {}
        self.candidates: Attributes | None = None
        self.inputs: dict[str, Any] | None = None
        self.recorded: Attributes = {}
        self.events: list[tuple[str, Attributes]] = []
        self.tools_are_numbered = False
        self.finished = False

    def enter(self) -> None:
        """Make the span current; a generator does it before each of its steps."""
        self._previous = get_current()
        attach(self.context)

    def leave(self) -> None:
        """Make current what was before `enter`, unless somebody else's context is current by now."""
        previous = self._previous
        if previous is not None and get_current().get(_LIFECYCLE_KEY) is self:
            attach(previous)
        self._previous = None

    def close(self, result: Any = None, error: BaseException | None = None) -> None:
        """Write the outcome and end the span. A second call does nothing."""
        if self.finished:
            return
        started, ended_at = perf_counter_ns(), time_ns()
        self.finished = True
        try:
            if self.span.is_recording():
                self._write(result, error, started)
        except Exception:  # noqa: BLE001 - the plugin's own error must not become the host's
            report(logger, "an outcome could not be read; its span has no result")
        finally:
            self._end(ended_at)
        task = self.task
        if task is not None:
            task.overhead_ns += perf_counter_ns() - started

    def _end(self, ended_at: int) -> None:
        try:
            self.span.end(ended_at)
        except Exception:  # noqa: BLE001 - a span processor of somebody else may raise anything
            report(logger, "a span processor raised at a span's end")
        self.leave()
        if self.task is not None and self.plan.kind is Kind.TASK:
            self.task.ended = True
        # Ancestors that ended are let go: each task of an endless worker loop would else hold the one before it.
        parent = self.parent
        while parent is not None and parent.finished:
            parent = parent.parent
        self.parent = parent
        self.instance = self.inputs = self.candidates = None

    def _write(self, result: Any, error: BaseException | None, started: int) -> None:
        plan, span, out = self.plan, self.span, self.recorded
        events = self.events
        if plan.vocabulary.at_end:
            plan.read_mapped(self.inputs, result, error, out)
        if error is None and (result is not None or out):
            events += plan.read_result(result, out, tools_are_numbered=self.tools_are_numbered)
        if plan.kind is Kind.ROUTE:
            if self.candidates and a.ROUTING_CANDIDATE_IDS not in out:
                out.update(self.candidates)
            composites.include_selected(out)
        elif plan.kind is Kind.TOOL_CALL and (a.TURN_NUMBER in out or a.TURN_NUMBER in self.attributes):
            self._number_tools()
        protect_tenant(out)
        for attribute in NAME_ATTRIBUTES[plan.kind]:
            if attribute in out and attribute not in self.attributes:
                span.update_name(f"{plan.kind.value} {out[attribute]}")
                break
        if error is not None and not isinstance(error, GeneratorExit):
            self._write_error(error, out)
        for name, attributes in events[:_MAX_EVENTS]:
            span.add_event(name, attributes)
        task = self.task
        if task is not None and plan.kind is Kind.TASK:
            out[a.COLLECTION_OVERHEAD_MS] = (task.overhead_ns + perf_counter_ns() - started) / 1e6
        if out:
            span.set_attributes(out)
        if getattr(span, "dropped_attributes", 0):
            # The SDK drops the oldest first: what was given at the start goes, our identity with it. So it is
            # given again, with the scores last and therefore newest.
            span.set_attributes({**self.attributes, **out})

    def _write_error(self, error: BaseException, out: Attributes) -> None:
        kind = type(error)
        name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        message = values.message(error)
        out[a.ERROR_TYPE] = name
        # No stack trace: it costs more than the span, and repeats messages of chained exceptions unshortened.
        self.span.add_event(a.EXCEPTION_EVENT, {a.EXCEPTION_TYPE: name, a.EXCEPTION_MESSAGE: message})
        self.span.set_status(StatusCode.ERROR, values.shorten(f"{kind.__name__}: {message}"))

    def _number_tools(self) -> None:
        ancestor = self.parent
        while ancestor is not None:
            if ancestor.plan.kind is Kind.EXECUTION:
                ancestor.tools_are_numbered = True
                return
            ancestor = ancestor.parent


def open_span(
    plan: Plan, args: tuple[Any, ...], kwargs: dict[str, Any], given: Attributes | None = None
) -> LifecycleSpan | None:
    """Start the span of a call and make it current.

    None where the call gets no span of its own: instrumentation is suppressed, the call is an overridden method
    reached by `super()`, or the span could not be opened.
    """
    if not plan.enabled:
        return None
    started = perf_counter_ns()
    try:
        tracer = RUNTIME.tracer or RUNTIME.resolve()
        current = get_current()
        if current.get(_SUPPRESS_INSTRUMENTATION_KEY) or current.get("suppress_instrumentation"):
            return None
        parent: Any = current.get(_LIFECYCLE_KEY)
        instance = args[0] if args and plan.signature.bound else None
        if plan.only is not None and instance is not plan.only:
            return None
        if instance is not None and parent is not None and _is_super_call(plan, instance, parent):
            return None
        out: Attributes = dict(given) if given else {}
        plan.read_inputs(args, kwargs, out)
        listed = out.pop(CANDIDATES, None)
        protect_tenant(out)
        if plan.kind is Kind.TASK:
            task, base, links = None, current, None
            _identify(out, parent)
        else:
            task, base, links = _find_task(plan.kind, out, parent, current)
        span = tracer.start_span(plan.span_name(out, args), base, attributes=out, links=links)
        active = LifecycleSpan(plan, span, current, current, parent)
        active.context = Context(current, **{_SPAN_KEY: span, _LIFECYCLE_KEY: active})
        active.attributes = out
        active.instance = instance
        if plan.kind is Kind.TASK:
            task = _begin_task(active, span, out)
        active.task = task
        if listed is not None:
            active.candidates = composites.candidates(listed, plan.vocabulary.item_readers[CANDIDATES])
        if plan.keeps_inputs:
            active.inputs = plan.roots(args, kwargs)
        attach(active.context)
    except Exception:  # noqa: BLE001 - the plugin's own error must not become the host's
        report(logger, f"no span could be opened for {plan.target}")
        return None
    if task is not None:
        task.overhead_ns += perf_counter_ns() - started
    return active


def current_lifecycle() -> LifecycleSpan | None:
    """Return the innermost lifecycle span of the current context."""
    active = get_current().get(_LIFECYCLE_KEY)
    return active if isinstance(active, LifecycleSpan) else None


def protect_tenant(out: Attributes) -> None:
    """Replace a tenant's id by its keyed hash, where there is a key."""
    if a.TENANT_ID in out and (key := RUNTIME.settings.tenant_key) is not None:
        out[a.TENANT_HASH] = RUNTIME.tenant_hash(key, out.pop(a.TENANT_ID))


def _is_super_call(plan: Plan, instance: Any, ancestor: LifecycleSpan | None) -> bool:
    # The nearest unfinished call of this target on this object: a different function there means that this one is
    # its overridden method; the same function means recursion, which is a span of its own.
    while ancestor is not None:
        if not ancestor.finished and ancestor.instance is instance and ancestor.plan.target is plan.target:
            return ancestor.plan.function is not plan.function
        ancestor = ancestor.parent
    return False


def _identify(out: Attributes, parent: LifecycleSpan | None) -> None:
    if a.TASK_ID not in out:
        # Without an id no other span could name its task, so it gets one. It measures nothing, it invents nothing.
        out[a.TASK_ID] = uuid.uuid4().hex
    enclosing = parent.task if parent is not None else None
    if enclosing is not None and not enclosing.ended and enclosing.id != out[a.TASK_ID]:
        out.setdefault(a.TASK_PARENT_ID, enclosing.id)
        for name, value in enclosing.identity.items():
            if name != a.TASK_ID:
                out.setdefault(name, value)
    if RUNTIME.sampler is not None:
        out[a.SAMPLER] = RUNTIME.sampler


def _begin_task(active: LifecycleSpan, span: Span, out: Attributes) -> TaskState:
    identity: Attributes = {name: out[name] for name in (a.TASK_ID, a.TENANT_HASH, a.TENANT_ID) if name in out}
    span_context = span.get_span_context()
    task = TaskState(identity, out[a.TASK_ID], span_context)
    if span_context.is_valid:
        KNOWN_TASKS.remember(task)
        if span_context.trace_flags.sampled:
            active.recorded[a.EMITTER_ID] = EMITTER.id
            active.recorded[a.EMITTER_SEQUENCE] = EMITTER.next_sequence()
    return task


def _find_task(
    kind: Kind, out: Attributes, parent: LifecycleSpan | None, current: Context
) -> tuple[TaskState | None, Context, list[Link] | None]:
    """Return the task a span belongs to, the context it starts in, and its links.

    The context's own task, unless the call names another one that this process knows. An evaluation of a task that
    has ended is a root span with a link to it.
    """
    task = parent.task if parent is not None else None
    named = out.get(a.TASK_ID)
    base, links = current, None
    if named is not None and (task is None or task.id != named):
        task = KNOWN_TASKS.find(named)
        if task is not None:
            remote: SpanContext = task.span_context
            if kind is Kind.EVALUATION and task.ended:
                base, links = Context(), [Link(remote)]
            else:
                base = set_span_in_context(NonRecordingSpan(remote), current)
    if task is not None:
        for name, value in task.identity.items():
            out.setdefault(name, value)
    return task, base, links
