"""An arbiter that knows nothing of OpenTelemetry or of us. `python -m plain_arbiter [interrupt]`."""

import asyncio
import queue
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Task:
    id: str
    type: str
    complexity: str = "standard"
    requirements: list[str] = field(default_factory=lambda: ["python"])
    description: str = "Mend the function"
    tenant_id: str = "acme"


@dataclass
class Agent:
    id: str
    name: str
    model: str
    version: str = "1"
    provider: str = "local"
    model_family: str = "rules"

    def run(self, task: Task, pool: ThreadPoolExecutor | None = None) -> dict[str, Any]:
        if task.type == "impossible":
            raise RuntimeError(f"{self.name} can't do {task.id}")
        text = read_file("/src/x.py") if pool is None else pool.submit(read_file, "/src/x.py").result()
        return {
            "task_id": task.id,
            "success": True,
            "usage": {"input_tokens": 100, "output_tokens": 20},
            "cost_usd": 0.25,
            "turns": [{"number": 1, "information_gain": 0.5, "task_progress": 0.25, "reward": 0.125}],
            "text": text,
        }


AGENTS = [Agent("a-1", "Ada", "m-1"), Agent("a-2", "Bob", "m-2")]


@dataclass
class Decision:
    agent: Agent
    alternatives: list[dict[str, Any]]
    strategy: str = "capability-match"
    confidence: float = 0.75
    rationale: str = "it fits"
    propensity: float = 0.9


class Router:
    def route(self, task: Task) -> Decision:
        raise NotImplementedError


class FirstRouter(Router):
    name = "first"

    def route(self, task: Task) -> Decision:
        return Decision(AGENTS[0], [{"agent_id": "a-1", "score": 0.9}, {"agent_id": "a-2", "score": 0.1}])


def read_file(path: str) -> str:
    return f"contents of {path}"


class Evaluator:
    name = "rubric"

    async def evaluate(self, result: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(0)
        return {
            "overall_score": 0.875,
            "rubric": dict.fromkeys(("format", "tool", "task", "minimal", "cost", "safety"), 0.5),
            "quality_gates": [{"name": "tests", "passed": True, "score": 1.0, "threshold": 0.8, "mandatory": True}],
            "caws_compliant": True,
        }


class Arbiter:
    def __init__(self) -> None:
        self.router, self.evaluator = FirstRouter(), Evaluator()

    async def handle(self, task: Task) -> dict[str, Any]:
        decision = self.router.route(task)
        result = await asyncio.to_thread(decision.agent.run, task)
        return await self.evaluator.evaluate(result)

    def handle_sync(self, task: Task) -> dict[str, Any]:
        with ThreadPoolExecutor(1) as pool:
            return self.router.route(task).agent.run(task, pool)


def stuck(task: Task) -> None:
    raise KeyboardInterrupt


def main() -> None:
    arbiter = Arbiter()
    if sys.argv[1:] == ["interrupt"]:
        stuck(Task("t-9", "research"))
    asyncio.run(arbiter.handle(Task("t-1", "research")))
    result = arbiter.handle_sync(Task("t-2", "code-editing"))
    try:
        arbiter.handle_sync(Task("t-3", "impossible"))
    except RuntimeError as error:
        print(error)
    # An evaluator on a thread of its own that was there before the task, later.
    results: queue.Queue[dict[str, Any]] = queue.Queue()
    worker = threading.Thread(target=lambda: asyncio.run(arbiter.evaluator.evaluate(results.get())))
    worker.start()
    results.put(result)
    worker.join()
    print("done")


if __name__ == "__main__":
    main()
