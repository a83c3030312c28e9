"""Real trajectories, replayed as the spans of the agents that had them, come out as they were, message by message."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from support.analysis import FORMS, material_of, replayed, said_in, work_of
from support.facts import whole

from collector_processor.analyse import Cleaned
from collector_processor.analyse.conversation import ConversationAnalyser, conversation_of
from collector_processor.analyse.examine import examine
from collector_processor.guard import Protector
from collector_processor.guard.privacy import Keyring, Text
from collector_processor.guard.rescan import Rescan
from collector_processor.model.samples import SampleStatus
from collector_processor.model.sampling import Facet

SHARED = Path(os.environ.get("OTEL_BENCHMARK_SHARED") or Path(__file__).parents[4] / "shared")
TRAJECTORIES = SHARED / "data/tau-bench/gpt-4o-airline.json"

pytestmark = pytest.mark.skipif(not TRAJECTORIES.exists(), reason=f"{TRAJECTORIES.name} is not here")


@pytest.fixture(scope="module")
def trajectories() -> list[list[dict[str, Any]]]:
    return [each["traj"] for each in json.loads(TRAJECTORIES.read_text())]


def source_of(trajectory: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the agent's last call has heard and said: what a user says after it, no call carries."""
    last = max(number for number, message in enumerate(trajectory) if message["role"] == "assistant")
    return [{name: value for name, value in message.items() if name != "name"} for message in trajectory[: last + 1]]


def test_all_trajectories_come_out_as_they_were(trajectories):
    for trajectory in trajectories:
        finding = conversation_of(material_of(*replayed(trajectory)))
        assert finding.status is SampleStatus.COMPLETE, finding.gaps
        assert said_in(finding.content) == source_of(trajectory)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_says_the_same(form, trajectories):
    for trajectory in trajectories[::10]:
        finding = conversation_of(material_of(*replayed(trajectory, form)))
        assert finding.status is SampleStatus.COMPLETE, finding.gaps
        assert said_in(finding.content) == source_of(trajectory)


def test_each_tool_run_stands_with_the_call_that_asked_for_it(trajectories):
    for trajectory in trajectories:
        spans = replayed(trajectory)
        content = conversation_of(material_of(*spans)).content
        runs = [
            (part["id"], part["run"] is not None)
            for message in content["conversations"][0]["messages"]
            for part in message["parts"]
            if part["type"] == "tool_call"
        ]
        answered = {message["tool_call_id"] for message in trajectory if message["role"] == "tool"}
        assert runs == [(identity, identity in answered) for identity, _ in runs]
        assert content["toolRuns"] == []


def test_a_later_scan_by_the_same_rules_finds_nothing_new_in_a_sample(trajectories):
    """Else it would condemn records, and halt their source, for nothing."""
    protector = Protector(None, Keyring({"k1": b"pseudonyms of sixteen bytes"}, "k1"))

    def clean(texts, tenant):
        redacted = protector.redact([Text(*each) for each in texts], tenant)
        return Cleaned(redacted.values, frozenset(each.number for each in redacted.withheld))

    scan = Rescan(protector)
    analysers = {Facet.CONVERSATION: ConversationAnalyser()}
    samples = [examine(work_of(*replayed(each)), analysers, clean, 1 << 20) for each in trajectories[::5]]
    assert sum(b"<EMAIL:k1:" in sample.content for sample in samples) > 3
    for sample in samples:
        assert scan.record(whole(), None, {sample.facet: json.loads(sample.content)}) is None
