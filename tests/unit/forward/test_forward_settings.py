"""The settings of forwarding: what they take, and what together makes no sense."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector_processor.app.forwarding.process import protocol_of
from collector_processor.config import Settings, load
from collector_processor.config.sources import PREFIX
from collector_processor.errors import ConfigError
from collector_processor.model.stages import Keep


def settings(**given: str) -> Settings:
    return load({f"{PREFIX}FORWARD_{name}": value for name, value in given.items()}).settings


def problem(**given: str) -> str:
    with pytest.raises(ConfigError) as caught:
        settings(**given)
    return str(caught.value)


def test_nothing_is_forwarded_unless_said() -> None:
    quiet = settings()
    assert (quiet.forward_endpoint, quiet.forward_ratio, quiet.forward_keep) == (None, 1.0, None)


@pytest.mark.parametrize(
    ("endpoint", "given", "protocol"),
    [
        ("http://jaeger:4317", "auto", "grpc"),
        ("https://jaeger.example.org", "auto", "http/protobuf"),
        ("http://[::1]:14318/otlp", "auto", "http/protobuf"),
        ("http://jaeger:4317", "http/protobuf", "http/protobuf"),
        ("http://jaeger:14317", "grpc", "grpc"),
    ],
)
def test_the_protocol_is_guessed_from_the_port(endpoint: str, given: str, protocol: str) -> None:
    assert protocol_of(settings(ENDPOINT=endpoint, PROTOCOL=given)) == protocol


@pytest.mark.parametrize(
    "endpoint",
    [
        "jaeger:4317",
        "ftp://jaeger",
        "http://",
        "http://jo:secret@jaeger",
        "http://j:0",
        "http://j/?key=s",
        "http://j:x",
    ],
)
def test_endpoints_that_are_none(endpoint: str) -> None:
    assert "COLLECTOR_PROCESSOR_FORWARD_ENDPOINT" in problem(ENDPOINT=endpoint)


def test_headers_are_read_as_the_sdk_reads_them() -> None:
    assert settings(HEADERS="Authorization=Bearer%20a%3Db, x-team = blue").forward_headers == (
        ("authorization", "Bearer a=b"),
        ("x-team", "blue"),
    )
    wrong = problem(HEADERS="Authorization: PLANTED")
    assert "FORWARD_HEADERS" in wrong
    assert "PLANTED" not in wrong
    assert "HEADERS" in problem(HEADERS="x=a%0d%0aset-cookie:b")


def test_conditions() -> None:
    assert settings(KEEP="failed, quarantined,score<0.5").forward_keep == Keep(("failure",), ("quarantined",), 0.5)
    assert settings(KEEP="partial").forward_keep == Keep(("partial",))
    for wrong in ("success", "score>0.5", "score<2", "score<0.1,score<0.2", "failed,,"):
        assert "FORWARD_KEEP" in problem(KEEP=wrong)


def test_ratios() -> None:
    assert [settings(RATIO=text).forward_ratio for text in ("0", "1", "0.001")] == [0, 1, 0.001]
    for wrong in ("1.1", "-0.1", "10%", ".5", "1e-3"):
        assert "FORWARD_RATIO" in problem(RATIO=wrong)


def test_what_makes_no_sense_together(tmp_path: Path) -> None:
    pem = tmp_path / "x.pem"
    pem.touch()
    assert "FORWARD_CERT_FILE and COLLECTOR_PROCESSOR_FORWARD_KEY_FILE" in problem(CERT_FILE=str(pem))
    assert "without TLS but has certificates" in problem(ENDPOINT="http://jaeger:4317", CA_FILE=str(pem))
    assert "is this processor itself" in problem(ENDPOINT="http://localhost:4317")
    assert "FORWARD_CA_FILE" in problem(CA_FILE=str(tmp_path / "gone.pem"))
