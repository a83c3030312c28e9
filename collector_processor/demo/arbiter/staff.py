"""Who works here: four agents that differ in what they know and how soon they give up."""

from __future__ import annotations

from collector_processor.demo.arbiter.agents import Agent
from collector_processor.demo.arbiter.policy import Manner

MENDER = Agent(
    id="mender",
    name="Careful mender",
    version="2.3.0",
    model="rules-mender-2",
    model_family="search-and-validate",
    provider="in-process",
    manner=Manner(
        patience=16,
        repertoire="full",
        ranking="counted",
        cleans="partly",
        scheduling="any order",
        colouring="bisect",
        delegates=True,
    ),
    capabilities={"code-editing": 0.9, "design": 0.7, "planning": 0.6, "research": 0.5, "data-analysis": 0.5},
    price=0.002,
)
REWRITER = Agent(
    id="rewriter",
    name="Bold rewriter",
    version="0.9.1",
    model="rules-rewriter-1",
    model_family="rewrite",
    provider="in-process",
    manner=Manner(
        patience=6,
        repertoire="full",
        ranking="counted",
        cleans="thoroughly",
        scheduling="longest path",
        colouring="extremes",
        rewrites=True,
        bends_tests=True,
    ),
    capabilities={"code-editing": 0.8, "design": 0.6, "planning": 0.5, "research": 0.4, "data-analysis": 0.6},
    price=0.006,
)
SPRINTER = Agent(
    id="sprinter",
    name="Hasty sprinter",
    version="4.0.0",
    model="rules-sprinter-4",
    model_family="heuristics",
    provider="in-process",
    manner=Manner(
        patience=3,
        repertoire="narrow",
        ranking="first",
        cleans="not at all",
        scheduling="as listed",
        colouring="one step",
    ),
    capabilities=dict.fromkeys(("code-editing", "design", "planning", "research", "data-analysis"), 0.6),
)
ANALYST = Agent(
    id="analyst",
    name="Thorough analyst",
    version="1.4.2",
    model="rules-analyst-1",
    model_family="statistics",
    provider="in-process",
    manner=Manner(
        patience=3,
        repertoire="partial",
        ranking="weighted",
        cleans="thoroughly",
        scheduling="longest path",
        colouring="bisect",
        delegates=True,
    ),
    capabilities={"research": 0.8, "data-analysis": 0.9, "planning": 0.8, "design": 0.4, "code-editing": 0.3},
    price=0.004,
)

STAFF = (MENDER, REWRITER, SPRINTER, ANALYST)
