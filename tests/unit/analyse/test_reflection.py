"""Reflections: what agents reported, else what their model says when it is asked."""

from __future__ import annotations

from support.analysis import material_of, unclean
from support.lifecycle import execution
from support.model_endpoint import Reply, model_endpoint

from collector_processor.analyse.chat import Chat
from collector_processor.analyse.endpoint import Endpoint
from collector_processor.analyse.reflection import ReflectionAnalyser
from collector_processor.model.samples import SampleReason, SampleStatus
from otel_benchmark import attributes as a

REPORTED = execution(attributes={a.SELF_REFLECTION: "I was too quick."})
SAID = {"wentWell": ["The test."], "wentWrong": [], "wouldChange": ["Ask first."], "confidence": 0.75}


def test_what_was_reported_is_taken():
    finding = ReflectionAnalyser(None, "").analyse(material_of(REPORTED), unclean)
    assert (finding.status, finding.content["source"]) == (SampleStatus.COMPLETE, "reported")
    (reflection,) = finding.content["reflections"]
    assert (reflection["text"], reflection["agent"]) == ("I was too quick.", "Alpha")


def test_who_reported_is_not_asked():
    with model_endpoint() as endpoint:
        analyser = ReflectionAnalyser(Chat(Endpoint(endpoint.url, "m")), "# r-1")
        assert analyser.analyse(material_of(REPORTED, calls=1), unclean).calls == 0
    assert endpoint.requests == []


def test_who_did_not_is_asked():
    with model_endpoint(Reply(SAID)) as endpoint:
        analyser = ReflectionAnalyser(Chat(Endpoint(endpoint.url, "m")), "# r-1")
        finding = analyser.analyse(material_of(execution(), calls=1), unclean)
    assert (finding.status, finding.calls) == (SampleStatus.COMPLETE, 1)
    assert SAID.items() <= finding.content.items()
    assert (finding.content["source"], finding.content["model"]) == ("asked", "m")
    assert endpoint.requests[0].texts[0] == "# r-1"


def test_an_endpoint_that_refuses():
    with model_endpoint(Reply("", 403)) as endpoint:
        analyser = ReflectionAnalyser(Chat(Endpoint(endpoint.url, "m")), "# r-1")
        finding = analyser.analyse(material_of(execution(), calls=1), unclean)
    assert (finding.status, finding.reason) == (SampleStatus.FAILED, SampleReason.ENDPOINT_FAILED)


def test_without_a_report_and_an_endpoint_the_sample_is_empty():
    def why(material):
        finding = ReflectionAnalyser(None, "").analyse(material, unclean)
        return finding.status, finding.reason

    assert why(material_of(execution())) == (SampleStatus.EMPTY, SampleReason.CONTENT_OFF)
    assert why(material_of(execution(attributes={a.DIFF_PATCH: "x"}))) == (SampleStatus.EMPTY, SampleReason.NO_INPUT)
    assert why(material_of(gone=True)) == (SampleStatus.EMPTY, SampleReason.INPUT_GONE)
