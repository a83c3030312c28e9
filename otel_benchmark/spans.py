"""An open lifecycle span: current while its call's body runs, closed in every case with what the call came to.

Nothing here raises into the host: what goes wrong inside is logged once per place. The context that is attached
carries the span and our LifecycleSpan together; it is taken off again only where it still is the current one, so
that a generator finished by the garbage collector disturbs nobody.
"""

from __future__ import annotations

import logging
from time import time_ns
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.context import Context, attach, create_key, get_current
from opentelemetry.trace import INVALID_SPAN, Span, StatusCode, set_span_in_context

from otel_benchmark import attributes as a
from otel_benchmark import composites, values
from otel_benchmark.attributes import Kind
from otel_benchmark.runtime import RUNTIME, report
from otel_benchmark.vocabulary import CANDIDATES

if TYPE_CHECKING:
    from otel_benchmark.extract import Attributes
    from otel_benchmark.plans import Plan
    from otel_benchmark.tasks import TaskState

logger = logging.getLogger(__name__)

# One dictionary holds both keys, so that a span costs one copy of the context. The API keeps its own key private:
# it is read off a context that holds nothing else.
SPAN_KEY: Final = next(iter(set_span_in_context(INVALID_SPAN, Context())))
LIFECYCLE_KEY: Final = create_key("otel-benchmark-lifecycle")
IDENTITY: Final = (a.TASK_ID, a.TENANT_HASH, a.TENANT_ID)
"""What every span of a task carries."""
_KEPT: Final = frozenset(
    {
        *IDENTITY,
        a.TASK_TYPE,
        a.EMITTER_ID,
        a.EMITTER_SEQUENCE,
        a.GEN_AI_OPERATION_NAME,
        a.GEN_AI_AGENT_ID,
        a.GEN_AI_TOOL_NAME,
        a.ROUTING_SELECTED_ID,
        a.ROUTING_PROPENSITY,
        a.EXECUTION_SUCCESS,
        a.EVALUATION_OVERALL_SCORE,
        a.RUBRIC_FORMAT,
        a.RUBRIC_TOOL,
        a.RUBRIC_TASK,
        a.RUBRIC_MINIMAL,
        a.RUBRIC_COST,
        a.RUBRIC_SAFETY,
    }
)
"""Identity and scores: what a span keeps when it has more attributes than the SDK's limit."""
_NO_CONTEXT: Final = Context()
_MAX_EVENTS: Final = 100


class LifecycleSpan:
    """One open lifecycle span. `open_span` makes it; `close` ends it, once."""

    # Defaults on the class: most spans need few of them, and each assignment is paid by every span.
    context: Context
    instance: Any = None
    inputs: dict[str, Any] | None = None
    recorded: Attributes | None = None
    events: tuple[tuple[str, Attributes], ...] = ()
    tools_are_numbered = False
    finished = False

    def __init__(  # noqa: PLR0917 - by position is the cheapest way, and every span pays for it
        self,
        plan: Plan,
        span: Span,
        attributes: Attributes,
        task: TaskState | None,
        previous: Context,
        parent: LifecycleSpan | None,
    ) -> None:
        self.plan = plan
        self.span = span
        self.attributes = attributes
        """What the inputs said. A task's are on the span from its start, the others' are written at the end."""
        self.task = task
        self.parent = parent
        self._previous: Context | None = previous

    def enter(self) -> None:
        """Make the span current; a generator does it before each of its steps."""
        if self.finished:
            return  # the driver of an abandoned generator is told of its end after the span is
        self._previous = get_current()
        attach(self.context)

    def leave(self) -> None:
        """Make current what was before `enter`, unless somebody else's context is current by now."""
        previous = self._previous
        if previous is not None:
            if get_current().get(LIFECYCLE_KEY) is self:
                attach(previous)
            self._previous = None

    def close(self, result: Any = None, error: BaseException | None = None) -> None:
        """Write the outcome and end the span. A second call does nothing."""
        if self.finished:
            return
        started = time_ns()
        self.finished = True
        span, task = self.span, self.task
        try:
            if span.is_recording():
                self._write(result, error, started)
        except Exception:  # noqa: BLE001 - the plugin's own error must not become the host's
            report(logger, "an outcome could not be read; its span has no result")
        finally:
            try:
                # What we did meanwhile is not the call's time.
                span.end(started)
            except Exception:  # noqa: BLE001 - a span processor of somebody else may raise anything
                report(logger, "a span processor raised at a span's end")
            self.leave()
            # Ancestors that ended are let go: each task of an endless worker loop would else hold the one before.
            parent = self.parent
            while parent is not None and parent.finished:
                parent = parent.parent
            self.parent = parent
            # The context holds this span: without this line each span would wait for the cycle collector.
            self.context = _NO_CONTEXT
            self.instance = self.inputs = None
            if task is not None:
                task.overhead_ns += time_ns() - started
                if self.plan.is_task:
                    task.ended = True

    def _write(self, result: Any, error: BaseException | None, started: int) -> None:
        # The outcome wins over what the inputs said: an agent that was asked for and the one that answered.
        plan, span, task, events = self.plan, self.span, self.task, self.events
        out: Attributes = {}
        if result is not None:
            plan.read_outcome(result, out)
        if plan.maps_outcome:
            plan.read_mapped(self.inputs, result, error, out)
        if self.recorded is not None:
            out.update(self.recorded)
        if plan.lists is not None:
            if plan.lists in out:
                events += plan.read_list(plan.lists, out, tools_are_numbered=self.tools_are_numbered)
            if plan.lists == CANDIDATES:
                composites.settle(out, self.attributes)
        if a.TENANT_ID in out:
            protect_tenant(out)
        for attribute in plan.name_attributes:
            if attribute in out:
                if out[attribute] != self.attributes.get(attribute):
                    span.update_name(f"{plan.word} {out[attribute]}")
                break
        if error is not None and not isinstance(error, GeneratorExit):
            self._write_error(error, out)
        for name, attributes in events[:_MAX_EVENTS]:
            span.add_event(name, attributes)
        if plan.is_task and task is not None:
            out[a.COLLECTION_OVERHEAD_MS] = max(0.0, (task.overhead_ns + time_ns() - started) / 1e6)
        else:
            out = {**task.identity, **self.attributes, **out} if task is not None else {**self.attributes, **out}
            if a.TURN_NUMBER in out:
                self._number_tools()
        span.set_attributes(out)
        if getattr(span, "dropped_attributes", 0):
            # The SDK drops the oldest first, be it what the task's span was given at its start or what stands
            # first in a dictionary longer than a low limit. What matters most is given again, so it is newest.
            span.set_attributes({name: value for name, value in {**self.attributes, **out}.items() if name in _KEPT})

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


def protect_tenant(out: Attributes) -> None:
    """Replace a tenant's id by its keyed hash, where there is a key."""
    if (key := RUNTIME.settings.tenant_key) is not None:
        out[a.TENANT_HASH] = RUNTIME.tenant_hash(key, out.pop(a.TENANT_ID))
