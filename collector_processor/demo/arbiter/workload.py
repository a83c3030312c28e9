"""A day's tasks, drawn by a seed: the same seed gives the same tasks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random

from collector_processor.demo.arbiter.crafts.catalogue import PROBLEMS, Problem
from collector_processor.demo.arbiter.crafts.lookup import draw_lookup
from collector_processor.demo.arbiter.crafts.palette import draw_palette
from collector_processor.demo.arbiter.crafts.repair import Repair
from collector_processor.demo.arbiter.crafts.schedule import draw_schedule
from collector_processor.demo.arbiter.crafts.tables import draw_summary
from collector_processor.demo.arbiter.model import Task

TYPES = {"code-editing": 34, "research": 18, "data-analysis": 18, "planning": 15, "design": 15}
COMPLEXITIES = {"trivial": 3, "standard": 5, "complex": 3}
TENANTS = ("acme", "globex", "initech")
ATTEMPTS = 4
GROUP_SHARE = 0.08
"""Share of the code-editing draws that are a group: the same problem attempted several times."""
BROKEN_SHARE = 0.06
"""Share of the research and data-analysis tasks that can't be done: a closed archive, a missing column."""

ARCHIVE_DEADLINE_S = 0.4


def draw_tasks(count: int, seed: int) -> list[Task]:
    """Draw so many tasks."""
    random = Random(seed)
    tasks: list[Task] = []
    while len(tasks) < count:
        tasks.extend(_draw(random, f"{seed}-{len(tasks):04d}"))
    return tasks[:count]


def _draw(random: Random, name: str) -> Iterator[Task]:
    kind = random.choices(list(TYPES), list(TYPES.values()))[0]
    complexity = random.choices(list(COMPLEXITIES), list(COMPLEXITIES.values()))[0]
    broken = random.random() < BROKEN_SHARE
    # Randomness of its own: how much of it a question draws depends on the interpreter's documentation.
    task = _task(Random(name), f"task-{name}", kind, complexity, broken=broken)
    task = replace(task, tenant_id=random.choice(TENANTS), conversation_id=f"conversation-{random.randrange(40)}")
    if kind == "code-editing" and random.random() < GROUP_SHARE:
        for attempt in range(1, ATTEMPTS + 1):
            yield replace(task, id=f"{task.id}-{attempt}", group_id=f"group-{name}", attempt=attempt)
    else:
        yield task


def _task(random: Random, name: str, kind: str, complexity: str, *, broken: bool) -> Task:
    if kind == "code-editing":
        problem = _problem(random, complexity)
        summary = f"Mend {problem.name}: {problem.summary}"
        return Task(name, kind, complexity, summary, Repair(problem), ("python", "all tests pass"))
    if kind == "research":
        question = draw_lookup(complexity, random, archived=broken)
        summary = f"Which documentation do these words come from: {' '.join(question.query)}?"
        # Nobody waits long for an archive.
        task = Task(name, kind, complexity, summary, question, ("name one document",))
        return replace(task, deadline_s=ARCHIVE_DEADLINE_S) if broken else task
    if kind == "data-analysis":
        table = draw_summary(complexity, random, column="revenue" if broken else "amount")
        return Task(name, kind, complexity, f"Find the {table.how} {table.column} by {table.by}", table, ("csv",))
    if kind == "planning":
        jobs = draw_schedule(complexity, random)
        summary = f"Plan {len(jobs.prerequisites)} jobs for two workers"
        return Task(name, kind, complexity, summary, jobs, ("respect prerequisites", "finish early"))
    palette = draw_palette(complexity, random)
    summary = f"Make {len(palette.colours)} brand colours legible on {palette.background}"
    return Task(name, kind, complexity, summary, palette, ("contrast 4.5", "stay close to the brand"))


def _problem(random: Random, complexity: str) -> Problem:
    return random.choice([problem for problem in PROBLEMS if problem.complexity == complexity])
