"""Every variable, right and wrong: a wrong one is one warning that names it, and a safe default."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_benchmark.attributes import Kind, tenant_hash
from otel_benchmark.environment import Settings, Target, without_credentials


def test_an_empty_environment_is_the_default():
    assert Settings.from_environ({}) == Settings()


def test_everything_is_read():
    settings = Settings.from_environ(
        {
            "OTEL_BENCHMARK_TASK": " app.arbiter:handle , app.arbiter:Arbiter.handle,app.arbiter:handle",
            "OTEL_BENCHMARK_ROUTE": "app:Router.route",
            "OTEL_BENCHMARK_EXECUTE": "app:Agent.__call__",
            "OTEL_BENCHMARK_TOOL": "app:read",
            "OTEL_BENCHMARK_EVALUATE": "app:judge",
            "OTEL_BENCHMARK_MAPPING": "/etc/mapping.toml",
            "OTEL_BENCHMARK_TENANT_KEY": "secret",
            "OTEL_BENCHMARK_ENDPOINT": "https://benchmark.internal:4318",
            "OTEL_BENCHMARK_HEADERS": "authorization=Bearer%20x%3D,X-Team = a",
            "OTEL_BENCHMARK_PROTOCOL": "grpc",
            "OTEL_BENCHMARK_QUEUE_BYTES": "256MiB",
            "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_AND_EVENT",
        }
    )
    assert settings.targets == (
        Target(Kind.TASK, "app.arbiter", "handle"),
        Target(Kind.TASK, "app.arbiter", "Arbiter.handle"),
        Target(Kind.ROUTE, "app", "Router.route"),
        Target(Kind.EXECUTION, "app", "Agent.__call__"),
        Target(Kind.TOOL_CALL, "app", "read"),
        Target(Kind.EVALUATION, "app", "judge"),
    )
    assert str(settings.mapping) == "/etc/mapping.toml"
    assert settings.tenant_key == b"secret"
    assert settings.endpoint == "https://benchmark.internal:4318"
    assert settings.headers == {"authorization": "Bearer x=", "x-team": "a"}
    assert settings.protocol == "grpc"
    assert settings.queue_bytes == 256 << 20
    assert settings.capture_content


def test_secrets_are_not_in_the_repr():
    text = repr(Settings(tenant_key=b"hidden", headers={"authorization": "hidden"}))
    assert "hidden" not in text


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("OTEL_BENCHMARK_TASK", "app.arbiter.handle", "targets"),
        ("OTEL_BENCHMARK_TASK", "app:1handle", "targets"),
        ("OTEL_BENCHMARK_TASK", ":handle", "targets"),
        ("OTEL_BENCHMARK_ENDPOINT", "localhost:4318", "endpoint"),
        ("OTEL_BENCHMARK_ENDPOINT", "http://host:port", "endpoint"),
        ("OTEL_BENCHMARK_ENDPOINT", "ftp://host", "endpoint"),
        ("OTEL_BENCHMARK_HEADERS", "secret-without-name", "headers"),
        ("OTEL_BENCHMARK_PROTOCOL", "http/json", "protocol"),
        ("OTEL_BENCHMARK_QUEUE_BYTES", "much", "queue_bytes"),
        ("OTEL_BENCHMARK_QUEUE_BYTES", "1000", "queue_bytes"),
        ("OTEL_BENCHMARK_QUEUE_BYTES", "64MB", "queue_bytes"),
        ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "yes please", "capture_content"),
        ("OTEL_BENCHMARK_TASKS", "app:f", "targets"),
    ],
)
def test_a_wrong_value_is_one_warning_and_the_default(caplog, name, value, field):
    with caplog.at_level(logging.WARNING):
        settings = Settings.from_environ({name: value})
    assert getattr(settings, field) == getattr(Settings(), field)
    assert len(caplog.records) == 1
    assert name in caplog.text
    assert name != "OTEL_BENCHMARK_HEADERS" or "secret" not in caplog.text


@pytest.mark.parametrize(
    ("endpoint", "protocol"), [("http://h:4317", "grpc"), ("http://h:4318", "http/protobuf"), ("", "http/protobuf")]
)
def test_the_protocol_follows_the_port(endpoint, protocol):
    assert Settings.from_environ({"OTEL_BENCHMARK_ENDPOINT": endpoint}).protocol == protocol


_NAMES = [
    "OTEL_BENCHMARK_" + name
    for name in ("TASK", "MAPPING", "ENDPOINT", "HEADERS", "PROTOCOL", "QUEUE_BYTES", "TENANT_KEY")
]


@pytest.mark.parametrize(
    ("url", "shown"),
    [("http://h:4318", "http://h:4318"), ("https://ada:secret@h:4318/base", "https://h:4318/base")],
)
def test_a_url_is_logged_without_its_credentials(url, shown):
    assert without_credentials(url) == shown


@given(st.dictionaries(st.sampled_from(_NAMES), st.text()))
def test_no_value_raises(environ):
    Settings.from_environ(environ)


def test_the_tenants_hash_is_keyed_and_apart_from_other_uses_of_the_key():
    # printf 'otel-benchmark/tenant\0acme' | openssl dgst -sha256 -hmac key
    assert tenant_hash(b"key", "acme") == "7e4f5307878b26ab617b4403840ce47aae62a1cb3289edae89b04a9996a038a6"
    assert len({tenant_hash(b"key", "acme"), tenant_hash(b"other", "acme"), tenant_hash(b"key", "acmf")}) == 3
