"""Methods of every kind, overriding subclasses now and later, callable objects; and all of it undone."""

import abc
import gc
import textwrap
import weakref
from typing import Protocol

import pytest

from otel_benchmark import attributes as a
from otel_benchmark.attributes import Kind
from otel_benchmark.environment import Target
from otel_benchmark.patches import TargetError


def define(module, source):
    """Execute source in the module, later than the wrapping."""
    exec(textwrap.dedent(source), module.__dict__)


CLASSES = """
import abc
class Router:
    name = "base"
    def route(self, task): return "base"
class Greedy(Router):
    name = "greedy"
    def route(self, task): return super().route(task) + "+greedy"
class Eager(Greedy):
    def route(self, task): return super().route(task) + "+eager"
class Silent(Router): pass
class Recursive(Router):
    def route(self, depth): return "end" if not depth else self.route(depth - 1)
class Tools:
    @staticmethod
    def read(path): return path
    @classmethod
    def kind(cls, task): return cls.__name__
    @property
    def size(self): return 1
class Callable:
    def __init__(self, name): self.name = name
    def __call__(self, task): return self.name
one, two = Callable("one"), Callable("two")
"""


def test_a_method_and_its_overriding_methods_are_wrapped(telemetry, host):
    module = host(CLASSES, route="Router.route")
    assert module.Router().route({}) == "base"
    assert module.Silent().route({}) == "base"
    assert telemetry.names == ["route base", "route base"]


def test_an_overriding_method_that_calls_super_is_one_span(telemetry, host):
    module = host(CLASSES, route="Router.route")
    assert module.Eager().route({}) == "base+greedy+eager"
    assert telemetry.names == ["route greedy"]
    assert telemetry.attributes("route")[a.ROUTING_SELECTED_ID] == "base+greedy+eager"


def test_recursion_is_a_span_of_its_own(telemetry, host):
    module = host(CLASSES, route="Router.route")
    assert module.Recursive().route(2) == "end"
    assert len(telemetry.spans) == 3


def test_another_object_of_the_same_class_is_a_span_of_its_own(telemetry, host):
    module = host(
        CLASSES
        + """
class Delegating(Router):
    def __init__(self, other): self.other = other
    def route(self, task): return self.other.route(task)
""",
        route="Router.route",
    )
    module.Delegating(module.Greedy()).route({})
    assert len(telemetry.spans) == 2


def test_a_subclass_defined_later_is_wrapped(telemetry, host):
    module = host(CLASSES, route="Router.route")

    define(
        module,
        """
        class Late(Router):
            def route(self, task): return "late+" + super().route(task)
        class Later(Late):
            def route(self, task): return "later+" + super().route(task)
        """,
    )
    assert module.Later().route({}) == "later+late+base"
    assert len(telemetry.spans) == 1


def test_an_override_that_looks_like_what_it_overrides_is_wrapped(telemetry, host):
    module = host(CLASSES, route="Router.route")
    define(
        module,
        """
        import functools
        class Alike(Router):
            @functools.wraps(Router.route)
            def route(self, task): return "alike"
        class Calling(Router):
            @functools.wraps(Router.route)
            def route(self, task): return "+" + super().route(task)
        """,
    )
    assert (module.Alike().route({}), module.Calling().route({})) == ("alike", "+base")
    assert len(telemetry.spans) == 2
    module.patches.undo()
    assert (module.Alike().route({}), module.Calling().route({})) == ("alike", "+base")
    assert len(telemetry.spans) == 2


def test_the_hosts_own_init_subclass_goes_on(telemetry, host):
    module = host(
        """
        registered = []
        class Base:
            def __init_subclass__(cls, /, label=None, **kwargs):
                super().__init_subclass__(**kwargs)
                registered.append((cls.__name__, label))
            def run(self, task): return "base"
        class Closed(Base):
            def __init_subclass__(cls, **kwargs): registered.append("closed")
        """,
        execute="Base.run",
    )

    define(
        module,
        """
        class Late(Base, label="x"):
            def run(self, task): return "late"
        class Hidden(Closed):
            def run(self, task): return "hidden"
        """,
    )
    assert (module.Late().run({}), module.Hidden().run({})) == ("late", "hidden")
    assert len(telemetry.spans) == 2
    assert module.registered == [("Closed", None), ("Late", "x"), "closed"]


def test_abstract_methods_stay_abstract_and_protocols_work(telemetry, host):
    module = host(
        """
        import abc
        from typing import Protocol
        class Abstract(abc.ABC):
            @abc.abstractmethod
            def run(self, task): ...
        class Spoken(Protocol):
            def judge(self, task): ...
        """,
        execute="Abstract.run",
        evaluate="Spoken.judge",
    )
    with pytest.raises(TypeError, match="abstract"):
        module.Abstract()

    define(
        module,
        """
        class Concrete(Abstract):
            def run(self, task): return 1
        class Judge(Spoken):
            def judge(self, task): return 0.5
        """,
    )
    assert (module.Concrete().run({}), module.Judge().judge({})) == (1, 0.5)
    assert len(telemetry.spans) == 2
    assert issubclass(module.Abstract, abc.ABC)
    assert issubclass(module.Spoken, Protocol)


def test_static_and_class_methods(telemetry, host):
    module = host(CLASSES, tool="Tools.read", route="Tools.kind")
    assert module.Tools.read("p") == module.Tools().read("p") == "p"
    assert module.Tools.kind({}) == module.Tools().kind({}) == "Tools"
    assert isinstance(vars(module.Tools)["read"], staticmethod)
    assert isinstance(vars(module.Tools)["kind"], classmethod)
    assert telemetry.names == ["execute_tool read"] * 2 + ["route kind"] * 2


@pytest.mark.parametrize("target", ["Callable.__call__", "Callable"])
def test_a_class_whose_objects_are_called(telemetry, host, target):
    module = host(CLASSES, execute=target)
    assert (module.one({}), module.two({})) == ("one", "two")
    assert telemetry.names == ["invoke_agent one", "invoke_agent two"]


def test_one_callable_object(telemetry, host):
    module = host(CLASSES, execute="one")
    before = module.one
    assert (module.one({}), module.two({})) == ("one", "two")
    assert telemetry.names == ["invoke_agent one"]
    assert module.one is before


def test_several_callable_objects_of_one_class(telemetry, host):
    module = host(CLASSES + "\nthree = Callable('three')\n", tool="one")
    assert module.patches.apply(Target(Kind.TOOL_CALL, "host", "two"), module) == [
        "host:Callable.__call__ (method) of one object"
    ]
    assert module.patches.apply(Target(Kind.TOOL_CALL, "host", "two"), module) == []
    for each in (module.one, module.two, module.three):
        each({})
    assert telemetry.names == ["execute_tool one", "execute_tool two"]
    module.patches.apply(Target(Kind.TOOL_CALL, "host", "Callable"), module)
    module.three({})
    assert telemetry.names[2:] == ["execute_tool three"]


def test_a_method_of_one_object(telemetry, host):
    module = host(CLASSES + "\nrouter = Greedy()\n", route="router.route")
    assert module.router.route({}) == module.Greedy().route({}) == "base+greedy"
    assert telemetry.names == ["route greedy"]


def test_an_inherited_method_is_wrapped_for_the_named_class_alone(telemetry, host):
    module = host(CLASSES, route="Silent.route")
    module.Router().route({})
    module.Silent().route({})
    assert len(telemetry.spans) == 1


def test_one_function_may_be_two_things(telemetry, host):
    module = host("def work(task): return {'success': True}", execute="work", task="work")
    module.work({"id": "t"})
    assert telemetry.names == ["invoke_agent", "task"]


def test_naming_a_method_twice_wraps_it_once(telemetry, host):
    module = host(CLASSES, route="Router.route")
    assert module.patches.apply(Target(Kind.ROUTE, "host", "Greedy.route"), module) == []
    module.Greedy().route({})
    assert len(telemetry.spans) == 1


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("missing", "has no missing"),
        ("Router.missing", "Router has no missing"),
        ("Missing.route", "has no Missing"),
        ("Router", "name the method"),
        ("Tools.size", "a property, not a method"),
        ("number", "a int, which can't be called"),
    ],
)
def test_what_can_not_be_wrapped_says_why(telemetry, host, target, said):
    with pytest.raises(TargetError, match=said):
        host(CLASSES + "\nnumber = 5\n", route=target)


def test_a_builtin_class_can_not_be_changed(telemetry, host):
    with pytest.raises(TargetError, match="decorate it instead"):
        host("words = dict", tool="words.get")


def test_everything_is_put_back(telemetry, host):
    module = host(
        CLASSES + "\ndef f(task): return 1\n",
        route="Router.route",
        tool="Tools.read",
        execute="f",
        evaluate="one",
        task="Silent.route",
    )
    held = module.f

    define(module, "class Late(Router):\n    def route(self, task): return 'late'")
    classes = (module.Router, module.Greedy, module.Silent, module.Tools, module.Late)
    wrapped = {cls: dict(vars(cls)) for cls in classes}
    module.patches.undo()
    assert "route" not in vars(module.Silent)
    assert "__init_subclass__" not in vars(module.Router)
    for cls, before in wrapped.items():
        for name, value in before.items():
            if hasattr(getattr(value, "__func__", value), "__otel_benchmark_plan__"):
                assert vars(cls).get(name) is not value
    assert not hasattr(module.f, "__otel_benchmark_plan__")
    assert held({}) == 1
    assert module.Late().route({}) == "late"
    module.one({})
    module.Router().route({})
    assert telemetry.spans == []


def test_what_somebody_else_patched_over_is_left_alone(telemetry, host):
    module = host("def f(task): return 1", execute="f")
    mine = module.f
    module.f = lambda task: mine(task) + 1
    theirs = module.f
    module.patches.undo()
    assert module.f is theirs
    assert module.f({}) == 2
    assert telemetry.spans == []


def test_classes_that_the_host_drops_are_not_kept_alive(telemetry, host):
    module = host(CLASSES, route="Router.route")

    known = len(module.patches._undo), len(module.patches._plans)
    for body in ("''", "super().route(task)"):
        define(
            module,
            f"""
            class Dropped(Router):
                def __init_subclass__(cls): super().__init_subclass__()
                def route(self, task): return {body}
            """,
        )
        gone = weakref.ref(module.Dropped)
        assert len(module.patches._undo) > known[0]
        del module.Dropped
        gc.collect()
        assert gone() is None
    assert (len(module.patches._undo), len(module.patches._plans)) == known


def test_copies_of_classes_are_put_back_too(telemetry, host):
    module = host(CLASSES + "\nimport attrs, dataclasses\n", route="Router.route")
    define(
        module,
        """
        @dataclasses.dataclass(slots=True)
        class Data(Router):
            def route(self, task): return "data"
        @attrs.define
        class Attrs(Router):
            def route(self, task): return "attrs"
        """,
    )
    assert (module.Data().route({}), module.Attrs().route({})) == ("data", "attrs")
    assert len(telemetry.spans) == 2
    module.patches.undo()
    for cls in (module.Data, module.Attrs):
        assert not hasattr(cls.route, "__wrapped__")
    module.patches.apply(Target(Kind.ROUTE, "host", "Router.route"), module)
    assert (module.Data().route({}), module.Attrs().route({})) == ("data", "attrs")
    assert len(telemetry.spans) == 4


def test_class_methods_that_call_super_are_one_span(telemetry, host):
    module = host(
        """
        class Base:
            @classmethod
            def make(cls, task): return cls.__name__
        class Derived(Base):
            @classmethod
            def make(cls, task): return "+" + super().make(task)
        """,
        execute="Base.make",
    )
    assert module.Derived.make({"task_id": "t-1"}) == "+Derived"
    assert telemetry.attributes("invoke_agent")[a.TASK_ID] == "t-1"
