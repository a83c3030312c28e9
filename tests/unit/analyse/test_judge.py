"""The judge: what it is shown, what it answers, and how many times it is asked."""

from __future__ import annotations

import json
from importlib import resources

import msgspec
import pytest
from support.analysis import material_of, replayed, unclean
from support.lifecycle import evaluation, execution, task
from support.model_endpoint import VOTE, Reply, model_endpoint

from collector_processor.analyse import Cleaned, chat
from collector_processor.analyse.chat import Chat
from collector_processor.analyse.endpoint import RETRIES, Endpoint
from collector_processor.analyse.judge import Judge
from collector_processor.model.samples import SampleReason, SampleStatus
from collector_processor.model.sampling import Facet
from otel_benchmark import attributes as a

RUBRIC = "# strict-2\n\nJudge."
TALK = [{"role": "user", "content": "Rename the file."}, {"role": "assistant", "content": "Renamed."}]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(chat, "FIRST_PAUSE", 0.0)


def judged(url: str, *spans, votes: int = 1, calls: int = 20, key: str | None = None, clean=unclean, **more):
    judge = Judge(Chat(Endpoint(url, "judge-1", key, timeout=5.0)), RUBRIC, votes)
    return judge.analyse(material_of(*(spans or (execution(),)), facet=Facet.JUDGE, calls=calls, **more), clean)


def vote(score: float, verdict: str = "pass") -> Reply:
    return Reply(VOTE | {"overall_score": score, "verdict": verdict})


def test_the_votes_are_compared():
    with model_endpoint(vote(0.9), vote(0.2, "fail"), vote(0.7)) as endpoint:
        finding = judged(endpoint.url, votes=3)
    content = finding.content
    assert (finding.status, finding.calls, len(endpoint.requests)) == (SampleStatus.COMPLETE, 3, 3)
    assert (content["verdict"], content["overallScore"]) == ("pass", 0.7)
    assert content["agreement"] == pytest.approx(2 / 3)
    assert content["spread"] == pytest.approx(0.7)
    assert (content["judge"], content["judgeReported"]) == ("judge-1", "stub-7b")
    assert content["rubric"].startswith("strict-2 ")
    assert [each["reasoning"] for each in content["votes"]] == [VOTE["reasoning"]] * 3


def test_a_tie_is_unclear():
    with model_endpoint(vote(0.9), vote(0.2, "fail")) as endpoint:
        assert judged(endpoint.url, votes=2).content["verdict"] == "unclear"


def test_what_is_asked():
    with model_endpoint() as endpoint:
        judged(endpoint.url, key="secret-key")
    (request,) = endpoint.requests
    assert (request.path, request.headers["authorization"]) == ("/v1/chat/completions", "Bearer secret-key")
    assert request.body["model"] == "judge-1"
    schema = request.body["response_format"]["json_schema"]["schema"]
    assert set(schema["required"]) == set(VOTE)
    assert schema["additionalProperties"] is False
    assert request.texts[0] == RUBRIC


def test_the_judge_does_not_see_what_others_judged():
    said = {a.EVALUATION_OVERALL_SCORE: 0.123, a.EVALUATOR_NAME: "rival", a.RUBRIC_TASK: 0.456}
    with model_endpoint() as endpoint:
        judged(
            endpoint.url, task(attributes={a.TASK_DESCRIPTION: "Mend it."}), execution(), evaluation(attributes=said)
        )
    shown = endpoint.requests[0].texts[1]
    assert "Mend it." in shown
    assert not any(word in shown for word in ("0.123", "0.456", "rival"))


def test_the_conversation_is_shown_only_where_it_is_kept():
    with model_endpoint() as endpoint:
        kept = judged(endpoint.url, *replayed(TALK), kept=(Facet.JUDGE, Facet.CONVERSATION))
        alone = judged(endpoint.url, *replayed(TALK), kept=(Facet.JUDGE,))
    assert [finding.content["input"]["conversation"] for finding in (kept, alone)] == [True, False]
    assert ["Rename the file." in request.texts[1] for request in endpoint.requests] == [True, False]


def test_nothing_leaves_uncleaned():
    def clean(texts, tenant):
        return Cleaned([value.replace("file", "<CLEAN>") for _, value in texts], frozenset({0}))

    with model_endpoint() as endpoint:
        finding = judged(endpoint.url, *replayed(TALK), kept=(Facet.CONVERSATION,), clean=clean)
    assert "Rename the <CLEAN>." in endpoint.requests[0].texts[1]
    assert finding.gaps == ("1 texts of the conversation were withheld",)


def test_a_long_conversation_loses_its_middle():
    roles = ("user", "assistant")
    talk = [{"role": role, "content": f"{number} " + "x" * 900} for number in range(40) for role in roles]
    judge_at = Endpoint("", "judge-1", max_bytes=16 << 10)
    with model_endpoint() as endpoint:
        judge = Judge(Chat(msgspec.structs.replace(judge_at, url=endpoint.url)), RUBRIC, 1)
        finding = judge.analyse(material_of(*replayed(talk), kept=(Facet.CONVERSATION,), calls=5), unclean)
    assert sum(len(text.encode()) for text in endpoint.requests[0].texts) <= judge_at.max_bytes
    shown = endpoint.requests[0].texts[1]
    assert '"0 x' in shown
    assert '"39 x' in shown
    assert '"20 x' not in shown
    assert "left out for want of room" in finding.gaps[0]


def test_the_same_input_is_judged_once():
    with model_endpoint() as endpoint:
        judge = Judge(Chat(Endpoint(endpoint.url, "judge-1")), RUBRIC, 2)
        first, again = (judge.analyse(material_of(execution(), calls=9), unclean) for _ in range(2))
        other = judge.analyse(material_of(execution(attributes={a.EXECUTION_SUCCESS: False}), calls=9), unclean)
    assert (first.calls, again.calls, other.calls) == (2, 0, 2)
    assert again.content == {**first.content, "cached": True}


# -- Endpoints as they are -------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 500, 503])
def test_refusals_that_pass_are_tried_again(status):
    refused = Reply("", status, (("retry-after", "0"),))
    with model_endpoint(refused, refused, vote(0.5)) as endpoint:
        finding = judged(endpoint.url)
    assert (finding.status, finding.calls) == (SampleStatus.COMPLETE, 3)


@pytest.mark.parametrize("status", [401, 404, 302])
def test_refusals_that_stay_are_not(status):
    with model_endpoint(Reply("", status, (("location", "http://127.0.0.1:9/"),))) as endpoint:
        finding = judged(endpoint.url, votes=3)
    assert (finding.status, finding.reason, finding.calls) == (SampleStatus.FAILED, SampleReason.ENDPOINT_FAILED, 1)
    assert f"HTTP {status}" in finding.gaps


def test_an_endpoint_that_is_not_there():
    with model_endpoint() as endpoint:
        pass
    finding = judged(endpoint.url)
    assert (finding.reason, finding.calls) == (SampleReason.ENDPOINT_FAILED, RETRIES + 1)


def test_an_endpoint_without_schemas_is_asked_without():
    with model_endpoint(Reply("", 400), vote(0.5)) as endpoint:
        assert judged(endpoint.url, votes=2).status is SampleStatus.COMPLETE
    assert ["response_format" in request.body for request in endpoint.requests] == [True, False, False]


def test_an_answer_between_fences_is_read():
    with model_endpoint(Reply(f"```json\n{json.dumps(VOTE)}\n```")) as endpoint:
        assert judged(endpoint.url).status is SampleStatus.COMPLETE


BAD = [
    Reply("I'd say 8 out of 10."),
    Reply(VOTE | {"overall_score": 8}),
    Reply(VOTE | {"verdict": "good"}),
    Reply({"overall_score": 0.5}),
    Reply(body=b'{"choices": []}'),
    Reply(body=b"<html>"),
    Reply(body=b"[" * 5000),
]


@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
def test_an_answer_in_another_form_is_none(bad):
    with model_endpoint(bad) as endpoint:
        finding = judged(endpoint.url)
    assert (finding.status, finding.reason, finding.calls) == (SampleStatus.FAILED, SampleReason.BAD_ANSWER, 2)


def test_an_answer_without_an_end_is_cut(monkeypatch):
    monkeypatch.setattr(chat, "MAX_ANSWER_BYTES", 1000)
    with model_endpoint(Reply("x" * 2000)) as endpoint:
        assert judged(endpoint.url).reason is SampleReason.BAD_ANSWER


def test_a_vote_that_is_missing_is_told():
    bad = Reply("no")
    with model_endpoint(vote(0.5), bad, bad, vote(0.5)) as endpoint:
        finding = judged(endpoint.url, votes=3)
    assert (finding.status, finding.reason) == (SampleStatus.PARTIAL, SampleReason.BAD_ANSWER)
    assert (len(finding.content["votes"]), finding.gaps) == (2, ("2 of 3 votes: not in the asked form",))


@pytest.mark.parametrize("calls", [3, 4, 5])
def test_no_more_requests_are_made_than_were_granted(calls):
    with model_endpoint(Reply("", 503, (("retry-after", "0"),))) as endpoint:
        finding = judged(endpoint.url, votes=3, calls=calls)
    assert finding.calls == len(endpoint.requests) <= calls


def test_the_shipped_rubric_has_a_name():
    rubric = resources.files("collector_processor.analyse").joinpath("rubric.md").read_text()
    with model_endpoint() as endpoint:
        judge = Judge(Chat(Endpoint(endpoint.url, "m")), rubric, 1)
        assert judge.analyse(material_of(calls=1), unclean).content["rubric"].startswith("default-1 ")
