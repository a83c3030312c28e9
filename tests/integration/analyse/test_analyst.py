"""The real analyst: processes as the processor starts them, with its own privacy pass, over real trajectories."""

from __future__ import annotations

import asyncio
import json

from support.analysis import replayed, work_of
from support.lifecycle import execution, model_call, task
from support.model_endpoint import model_endpoint

from collector_processor.analyse.endpoint import Endpoint
from collector_processor.analyse.pool import Asking, Pool
from collector_processor.app.analysing.analyst import COMMAND
from collector_processor.app.protocol import BeginAnalysis, encode
from collector_processor.model.samples import Sample, SampleReason, SampleStatus
from collector_processor.model.sampling import Facet
from otel_benchmark import attributes as a

KEYS = (("k1", b"a key of sixteen bytes or more"),)
EVERYTHING = (Facet.CONVERSATION, Facet.AST, Facet.JUDGE, Facet.REFLECTION)
EMAIL, IBAN = "ada.lovelace@example.org", "DE89370400440532013000"
OWNER = {"first_name": "Ada", "last_name": "Lovelace", "mail": EMAIL}
TALK = [
    {"role": "user", "content": f"This is Ada Lovelace, write to {EMAIL}."},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "pay", "arguments": json.dumps({"iban": IBAN})}}
        ],
    },
    {
        "role": "tool",
        "tool_call_id": "c1",
        "name": "pay",
        "content": json.dumps({"first_name": "Ada", "last_name": "Lovelace", "mail": EMAIL}),
    },
    {"role": "assistant", "content": f"Paid to {IBAN}, Mrs. Lovelace."},
]


def begin(**more) -> BeginAnalysis:
    settled = {
        "tenant_key": None,
        "privacy_keys": KEYS,
        "judge": None,
        "rubric": "# r-1",
        "votes": 1,
        "reflection": None,
        "reflection_prompt": "# p-1",
        "max_bytes": 2 << 20,
        "memory_bytes": 1 << 30,
        "log_level": "warning",
        "log_format": "json",
    }
    return BeginAnalysis(**settled | more)


def samples_of(*works, asking=None, **more) -> list[Sample]:
    async def run() -> list[Sample]:
        pool = Pool(COMMAND, encode(begin(**more)), asking=asking)
        try:
            return [await pool.analyse(work) for work in works]
        finally:
            await pool.stop()

    return asyncio.run(run())


def test_what_is_personal_leaves_no_analyst():
    code = {a.DIFF_BEFORE: "", a.DIFF_AFTER: "def ada():\n    return 1\n", a.DIFF_PATCH: f"--- a\n+++ {EMAIL}/b.py\n"}
    said = code | {a.SELF_REFLECTION: f"I should have asked {EMAIL} first."}
    spans = [*replayed(TALK), execution(50, start=5, attributes=said)]
    asking = {Facet.JUDGE: Asking(1, 2, 100)}
    with model_endpoint() as endpoint:
        works = [work_of(*spans, facet=facet, kept=EVERYTHING) for facet in EVERYTHING]
        samples = samples_of(*works, asking=asking, judge=Endpoint(endpoint.url, "judge-1"))
    assert [sample.status for sample in samples] == [SampleStatus.COMPLETE] * 4, samples
    (request,) = endpoint.requests
    for text in [*(sample.content.decode() for sample in samples), *request.texts]:
        assert not any(planted in text for planted in (EMAIL, IBAN, "Lovelace"))
    assert "<EMAIL:" in samples[0].content.decode()
    assert "<IBAN:" in request.texts[1]


def test_what_cannot_be_read_is_withheld_and_told():
    deep = EMAIL
    for _ in range(8):
        deep = json.dumps({"x": deep})
    call = model_call(50, attributes={a.GEN_AI_INPUT_MESSAGES: json.dumps([{"role": "user", "content": deep}])})
    (sample,) = samples_of(work_of(task(), call))
    assert (sample.status, EMAIL in sample.content.decode()) == (SampleStatus.PARTIAL, False)
    assert "1 texts can't be searched for personal data and were withheld" in sample.gaps


def test_where_privacy_is_off_texts_stay():
    (sample,) = samples_of(work_of(*replayed(TALK)), privacy_keys=None)
    assert EMAIL in sample.content.decode()


def test_without_an_endpoint_there_is_no_judge():
    (sample,) = samples_of(work_of(facet=Facet.JUDGE))
    assert (sample.status, sample.reason) == (SampleStatus.EMPTY, SampleReason.ENDPOINT_MISSING)
