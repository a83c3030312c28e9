"""What an argument is: by its parameter's name, else by its place."""

import pytest

from otel_benchmark import attributes as a

TASK = {"id": "t-1", "type": "research"}
AGENT = {"id": "a-1", "name": "Ada", "model": "m-1"}


@pytest.mark.parametrize(
    ("signature", "args", "kwargs"),
    [
        ("task", (TASK,), {}),
        ("request", (TASK,), {}),
        ("context, task", ({"id": "no"}, TASK), {}),
        ("*args", (TASK,), {}),
        ("**kwargs", (), {"task": TASK}),
        ("*, job", (), {"job": TASK}),
        ("task, /", (TASK,), {}),
        ("task_id, task_type", ("t-1", "research"), {}),
        ("task_id, task_type='research'", (), {"task_id": "t-1"}),
    ],
)
def test_a_task_is_found(telemetry, host, signature, args, kwargs):
    module = host(f"def handle({signature}): pass", task="handle")
    module.handle(*args, **kwargs)
    assert telemetry.one("task").name == "task research"
    assert telemetry.attributes("task")[a.TASK_ID] == "t-1"


@pytest.mark.parametrize(
    ("source", "call"),
    [
        ("def run(agent, task): pass", lambda m: m.run(AGENT, TASK)),
        ("def run(task, *, worker): pass", lambda m: m.run(TASK, worker=AGENT)),
        ("def run(task, decision): pass", lambda m: m.run(TASK, {"agent": AGENT})),
        (
            """
            class A:
                def __init__(self): self.id, self.name, self.model = "a-1", "Ada", "m-1"
                def run(self, task): pass
            """,
            lambda m: m.A().run(TASK),
        ),
        (
            "class A:\n    name = 'arbiter'\n    def run(self, task, agent): pass",
            lambda m: m.A().run(TASK, AGENT),
        ),
        ("def run(task_id, agent_id, agent_name, model): pass", lambda m: m.run("t-1", "a-1", "Ada", "m-1")),
    ],
)
def test_an_agent_is_found(telemetry, host, source, call):
    call(host(source, execute="A.run" if "class" in source else "run"))
    attributes = telemetry.attributes("invoke_agent")
    assert telemetry.one("invoke_agent").name == "invoke_agent Ada"
    assert attributes[a.GEN_AI_AGENT_ID] == attributes[a.AGENT_ID] == "a-1"
    assert attributes[a.GEN_AI_REQUEST_MODEL] == "m-1"
    assert attributes[a.TASK_ID] == "t-1"


@pytest.mark.parametrize(
    ("source", "target", "call", "name"),
    [
        ("def read_file(path): pass", "read_file", lambda m: m.read_file("/x"), "read_file"),
        ("def create(name): pass", "create", lambda m: m.create("Bob"), "create"),
        ("def call(name, arguments): pass", "call", lambda m: m.call("grep", {}), "grep"),
        ("def call(tool_name, **kwargs): pass", "call", lambda m: m.call("grep", x=1), "grep"),
        ("class T:\n    name = 'grep'\n    def run(self, x): pass", "T.run", lambda m: m.T().run(1), "grep"),
        ("class T:\n    def grep(self, x): pass", "T.grep", lambda m: m.T().grep(1), "grep"),
        ("class Grep:\n    def __call__(self, x): pass", "Grep", lambda m: m.Grep()(1), "Grep"),
    ],
)
def test_a_tools_name_is_found(telemetry, host, source, target, call, name):
    call(host(source, tool=target))
    assert telemetry.one("execute_tool").name == f"execute_tool {name}"
    assert telemetry.attributes("execute_tool")[a.GEN_AI_TOOL_NAME] == name


def test_what_is_judged_tells_the_task_and_self_the_evaluator(telemetry, host):
    module = host(
        """
        class Judge:
            name, version, kind = "rubric", "3", "rule"
            def judge(self, outcome): return 0.5
        def other(result, task): return {"evaluator": {"name": "second"}, "overall_score": 1}
        """,
        evaluate="Judge.judge",
        tool="other",
    )
    module.Judge().judge({"task_id": "t-1"})
    assert telemetry.one("evaluate").name == "evaluate rubric"
    assert telemetry.attributes("evaluate") == {
        a.TASK_ID: "t-1",
        a.EVALUATOR_NAME: "rubric",
        a.EVALUATOR_VERSION: "3",
        a.EVALUATOR_KIND: "rule",
        a.EVALUATION_OVERALL_SCORE: 0.5,
    }


def test_an_evaluators_name_in_the_result_wins_over_the_functions(telemetry, host):
    host("def judge(result): return {'evaluator': {'name': 'second'}}", evaluate="judge").judge({})
    assert telemetry.one("evaluate").name == "evaluate second"
