"""An arbiter that writes whom it works for wherever it can. It knows nothing of OpenTelemetry or of us."""

import contextlib
import json
import os
from dataclasses import dataclass
from typing import Any

MAIL, NAME, PHONE, CARD, TOKEN = (os.environ[f"PLANTED_{what}"] for what in ("MAIL", "NAME", "PHONE", "CARD", "TOKEN"))


@dataclass
class Task:
    id: str
    description: str
    type: str = "research"
    complexity: str = "standard"
    requirements: tuple[str, ...] = ("python",)
    tenant_id: str = "acme"


@dataclass
class Decision:
    agent: "Agent"
    rationale: str
    strategy: str = "capability-match"
    confidence: float = 0.75


class Agent:
    id, name, model, version = "a-1", "Ada", "m-1", "1"

    def run(self, task: Task) -> dict[str, Any]:
        send(to=MAIL, text=f"Dear {NAME}, we charge {CARD}")
        if task.id.endswith(" 2"):
            raise RuntimeError(f"{NAME} <{MAIL}> was refused: Bearer {TOKEN}")
        return {"task_id": task.id, "success": True, "usage": {"input_tokens": 9, "output_tokens": 3}}


def send(to: str, text: str) -> str:
    return json.dumps({"to": to, "receipt": {"customer_name": NAME, "card": CARD, "api_key": TOKEN}, "text": text})


class Arbiter:
    def route(self, task: Task) -> Decision:
        return Decision(Agent(), f"{NAME} asked for it on {PHONE}")

    def evaluate(self, result: dict[str, Any]) -> dict[str, Any]:
        gate = {"name": "polite", "passed": True, "explanation": f"{NAME} was thanked at {MAIL}"}
        rubric = dict.fromkeys(("format", "tool", "task", "minimal", "cost", "safety"), 0.5)
        return {"overall_score": 0.9, "rubric": rubric, "quality_gates": [gate]}

    def handle(self, task: Task) -> dict[str, Any]:
        return self.evaluate(self.route(task).agent.run(task))


def main() -> None:
    arbiter = Arbiter()
    customer = json.dumps({"customer_name": NAME, "email": MAIL, "card": CARD})
    arbiter.handle(Task(f"order {MAIL}", f"Serve {customer}, password={TOKEN}"))
    with contextlib.suppress(RuntimeError):
        arbiter.handle(Task("order 2", f"Serve {customer}"))
