"""A whole processor behind TLS and tokens, as others reach it."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from support.lifecycle import payload, task
from support.processor import Processor, own

from collector_processor.app.reporting.admin import State

TOKEN = "a-token-that-is-long-enough"


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    authority = trustme.CA()
    write(authority, tmp_path)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    (tmp_path / "tokens").write_text(TOKEN)
    return authority


def write(authority: trustme.CA, folder: Path) -> None:
    issued = authority.issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    issued.private_key_pem.write_to_path(folder / "key.pem")


def replace(file: Path, content: bytes) -> None:
    """At once: a look amid a write would be a failure of its own."""
    beside = file.with_suffix(".new")
    beside.write_bytes(content)
    beside.replace(file)


def secure(folder: Path) -> dict[str, str]:
    return {
        "TLS_CERT_FILE": str(folder / "cert.pem"),
        "TLS_KEY_FILE": str(folder / "key.pem"),
        "TLS_CLIENT_CA_FILE": str(folder / "ca.pem"),
        "TOKENS_FILE": str(folder / "tokens"),
    }


def ask(
    address: str, context: ssl.SSLContext, path: str, body: bytes | None = None, token: str = TOKEN
) -> tuple[int, bytes]:
    connection = http.client.HTTPSConnection(address, context=context, timeout=30)
    headers = {"authorization": f"Bearer {token}", "content-type": "application/x-protobuf"}
    try:
        connection.request("POST" if body else "GET", path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_tls_tokens_and_a_rotation_in_a_running_processor(
    new_processor: Callable[..., Processor], authority: trustme.CA, tmp_path: Path
) -> None:
    anybody = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    ours = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    authority.issue_cert("arbiter@example.org").configure_cert(ours)
    with new_processor(**secure(tmp_path)) as processor:
        http_, admin = processor.ready["otlp_http"], processor.ready["admin"]
        assert ask(admin, anybody, "/healthz", token="none")[0] == 200
        assert ask(admin, anybody, "/metrics", token="none")[0] == 401
        assert ask(admin, anybody, "/metrics")[0] == 200
        spans = payload(own(task()).spans)
        assert ask(http_, ours, "/v1/traces", spans)[0] == 200
        assert ask(http_, ours, "/v1/traces", spans, token="none")[0] == 401
        with pytest.raises((ssl.SSLError, ConnectionError)):
            ask(http_, anybody, "/v1/traces", spans)

        issued = trustme.CA().issue_cert("127.0.0.1")
        good = (tmp_path / "key.pem").read_bytes()
        replace(tmp_path / "key.pem", issued.private_key_pem.bytes())
        replace(tmp_path / "tokens", b"")
        processor.wait_for(lambda status: len(status.health.reasons) == 2)
        health = processor.status().health
        assert health.state is State.DEGRADED
        assert [reason.partition(":")[0] for reason in health.reasons] == [
            "COLLECTOR_PROCESSOR_TLS_KEY_FILE",
            "COLLECTOR_PROCESSOR_TOKENS_FILE",
        ]
        assert ask(http_, ours, "/v1/traces", spans)[0] == 200, "what was good stays in force"
        replace(tmp_path / "key.pem", good)
        replace(tmp_path / "tokens", b"another-token-of-good-length")
        processor.wait_for(lambda status: status.health.state is State.OK)
        assert ask(http_, ours, "/v1/traces", spans)[0] == 401
        assert ask(http_, ours, "/v1/traces", spans, token="another-token-of-good-length")[0] == 200
        metrics = ask(admin, anybody, "/metrics", token="another-token-of-good-length")[1].decode()
        for name, value in (("TLS_CERT_FILE", 1), ("TOKENS_FILE", 1)):
            for outcome in ("ok", "failed"):
                line = f'reloads_total{{outcome="{outcome}",setting="COLLECTOR_PROCESSOR_{name}"}} {value:.1f}'
                assert f"otel_benchmark_{line}" in metrics
        assert 'outcome="unauthenticated",protocol="http",signal="traces"} 2.0' in metrics
        assert "otel_benchmark_certificate_expiry_timestamp_seconds 0.0" not in metrics


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("cert.pem", "no certificate", "COLLECTOR_PROCESSOR_TLS_CERT_FILE: {file} holds no certificate in PEM"),
        ("key.pem", "no key", "COLLECTOR_PROCESSOR_TLS_KEY_FILE: {file} is not the key of "),
        ("ca.pem", "no authority", "COLLECTOR_PROCESSOR_TLS_CLIENT_CA_FILE: {file} holds no certificate in PEM"),
        ("tokens", "", "COLLECTOR_PROCESSOR_TOKENS_FILE: {file} holds no token"),
    ],
)
@pytest.mark.parametrize("command", [("serve",), ("config", "check")])
def test_files_that_cannot_be_used_are_named_before_anything_starts(
    new_processor: Callable[..., Processor],
    authority: trustme.CA,
    tmp_path: Path,
    command: tuple[str, ...],
    name: str,
    content: str,
    words: str,
) -> None:
    processor = new_processor(**secure(tmp_path))
    (tmp_path / name).write_text(content)
    said = processor.run(*command)
    assert said.returncode != 0
    assert words.format(file=tmp_path / name) in said.stderr
    assert "Traceback" not in said.stderr
    assert len(json.dumps(said.stderr)) < 400
