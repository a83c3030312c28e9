"""Where a call's span begins: whether it gets one, which task it belongs to, what its parent is.

Nothing here raises into the host: a span that can't be opened is logged once, and the call goes on without it.
"""

from __future__ import annotations

import logging
import uuid
from time import time_ns
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.context import (
    _SUPPRESS_INSTRUMENTATION_KEY,  # every instrumentation reads it; upstream has no public name for it
    Context,
    attach,
    get_current,
)
from opentelemetry.trace import Link, NonRecordingSpan, set_span_in_context

from otel_benchmark import attributes as a
from otel_benchmark.attributes import Kind
from otel_benchmark.runtime import RUNTIME, hint, report
from otel_benchmark.spans import IDENTITY, LIFECYCLE_KEY, SPAN_KEY, LifecycleSpan, protect_tenant
from otel_benchmark.tasks import EMITTER, KNOWN_TASKS, TaskState
from otel_benchmark.vocabulary import CANDIDATES

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext

    from otel_benchmark.extract import Attributes
    from otel_benchmark.plans import Plan

logger = logging.getLogger(__name__)

_NO_TASK_ID: Final = (
    "a task came without an id and got a random one, which nobody else can name; "
    "say in OTEL_BENCHMARK_MAPPING where it is found ([task] id), or give it to task(id=...)"
)


def open_span(
    plan: Plan,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    given: Attributes | None = None,
    linked: SpanContext | None = None,
) -> LifecycleSpan | None:
    """Start the span of a call and make it current; `linked` is the task's span that a late evaluation is about.

    None where the call gets no span of its own: instrumentation is suppressed, the call is an overridden method
    reached by `super()`, or the span could not be opened.
    """
    if not plan.enabled:
        return None
    started = time_ns()
    try:
        tracer = RUNTIME.tracer or RUNTIME.resolve()
        current = get_current()
        if current.get(_SUPPRESS_INSTRUMENTATION_KEY) or current.get("suppress_instrumentation"):
            return None
        parent: Any = current.get(LIFECYCLE_KEY)
        instance = None
        if plan.owned and args:
            instance = args[0]
            if (plan.only is not None and not any(instance is each for each in plan.only)) or _is_super_call(
                plan, instance, parent
            ):
                return None
        out: Attributes = dict(given) if given else {}
        plan.read_inputs(args, kwargs, out)
        if a.TENANT_ID in out:
            protect_tenant(out)
        task: TaskState | None
        if plan.is_task:
            task = _identify(out, parent)
            # Samplers and other span processors see a task's attributes from its start.
            span = tracer.start_span(plan.span_name(out, args), current, attributes=out)
        else:
            task = parent.task if parent is not None else None
            if linked is not None:
                task = _task_of(linked, out)
                span = tracer.start_span(plan.span_name(out, args), Context(), links=[Link(linked)])
            elif a.TASK_ID in out and (task is None or task.id != out[a.TASK_ID]):
                task, base, links = _find_task(plan.kind, out[a.TASK_ID], current)
                span = tracer.start_span(plan.span_name(out, args), base, links=links)
            else:
                span = tracer.start_span(plan.span_name(out, args), current)
        active = LifecycleSpan(plan, span, out, task, current, parent)
        active.context = context = Context(current, **{SPAN_KEY: span, LIFECYCLE_KEY: active})
        if instance is not None:
            active.instance = instance
        if plan.is_task:
            _begin_task(active)
        if plan.lists is not None and CANDIDATES in out:
            out.update(plan.read_candidates(out.pop(CANDIDATES)))
        if plan.keeps_inputs:
            active.inputs = plan.roots(args, kwargs)
        attach(context)
    except Exception:  # noqa: BLE001 - the plugin's own error must not become the host's
        report(logger, f"no span could be opened for {plan.target}")
        return None
    if task is not None:
        task.overhead_ns += time_ns() - started
    return active


def _is_super_call(plan: Plan, instance: Any, ancestor: LifecycleSpan | None) -> bool:
    # The nearest unfinished call of this target on this object: a different function there means that this one is
    # its overridden method; the same function means recursion, which is a span of its own.
    while ancestor is not None:
        if not ancestor.finished and ancestor.instance is instance and ancestor.plan.target == plan.target:
            return ancestor.plan.function is not plan.function
        ancestor = ancestor.parent
    return False


def _identify(out: Attributes, parent: LifecycleSpan | None) -> TaskState:
    """Complete a new task's attributes and return its state."""
    if a.TASK_ID not in out:
        # Without an id no other span could name its task, so it gets one. It measures nothing, it invents nothing.
        out[a.TASK_ID] = uuid.uuid4().hex
        hint(logger, _NO_TASK_ID)
    enclosing = parent.task if parent is not None else None
    if enclosing is not None and not enclosing.ended and enclosing.id != out[a.TASK_ID]:
        out.setdefault(a.TASK_PARENT_ID, enclosing.id)
        for name, value in enclosing.identity.items():
            out.setdefault(name, value)
    if RUNTIME.sampler is not None:
        out[a.SAMPLER] = RUNTIME.sampler
    return TaskState(out[a.TASK_ID], {name: out[name] for name in IDENTITY if name in out})


def _begin_task(active: LifecycleSpan) -> None:
    task, span_context = active.task, active.span.get_span_context()
    if task is None or not span_context.is_valid:
        return
    task.span_context = span_context
    KNOWN_TASKS.remember(task)
    if span_context.trace_flags.sampled:
        active.recorded = {a.EMITTER_ID: EMITTER.id, a.EMITTER_SEQUENCE: EMITTER.next_sequence()}


def _task_of(linked: SpanContext, out: Attributes) -> TaskState | None:
    """Return the task of a span, where this process knows it: never the one that the call happens to run in."""
    task = KNOWN_TASKS.find(out[a.TASK_ID]) if a.TASK_ID in out else None
    known = task.span_context if task is not None else None
    return task if known is not None and known.span_id == linked.span_id else None


def _find_task(kind: Kind, task_id: str, current: Context) -> tuple[TaskState | None, Context, list[Link] | None]:
    """Return the task that a call names, the context its span starts in, and its links.

    Called outside its task's context a span becomes a child of the task's span; an evaluation of a task that has
    ended is a root span with a link to it. A task that this process doesn't know leaves the context as it is.
    """
    task = KNOWN_TASKS.find(task_id)
    if task is None or task.span_context is None:
        return None, current, None
    if kind is Kind.EVALUATION and task.ended:
        return task, Context(), [Link(task.span_context)]
    return task, set_span_in_context(NonRecordingSpan(task.span_context), current), None
