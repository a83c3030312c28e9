"""Secrets are planted in every setting that holds one, all that can fail is made to, and nobody shows them."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import psutil
import psycopg
import pytest
import trustme
from support.backend import Reply, backend
from support.lifecycle import payload, task
from support.model_endpoint import ModelEndpoint, Request
from support.model_endpoint import Reply as ModelReply
from support.processor import Processor, http_request, own

from collector_processor.config import PREFIX
from collector_processor.config.settings import declared
from collector_processor.store.embedded import EmbeddedServer
from collector_processor.store.migrations import migrate

POLICIES = """
judge = [{ name = "all", always = true }]
reflection = [{ name = "all", always = true }]
"""
COMMANDS = (("status",), ("config", "show", "--json"), ("config", "check"), ("flush",), ("sql", "SELECT 1 FROM none"))
METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


@dataclasses.dataclass
class Planted:
    """A setting's text, and the part of it that nobody may see."""

    text: str
    secret: str


@pytest.fixture
def owner(postgres_server: EmbeddedServer, postgres_url: str) -> Iterator[str]:
    """The URL of the test's database for one who may do all that its owner may, and whose password can be changed."""
    asyncio.run(migrate(postgres_url))
    name, password = f"owner_{uuid.uuid4().hex}", "planted-database-password"
    with psycopg.connect(postgres_server.superuser_url, autocommit=True) as server:
        server.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}' IN ROLE benchmark_owner")
        yield conninfo_url(postgres_url, name, password)
        server.execute(f"DROP ROLE {name}")


def refuse(request: Request) -> ModelReply:
    """A model that repeats the key which it doesn't take."""
    return ModelReply(status=401, body=request.headers["authorization"].encode())


def conninfo_url(url: str, user: str, password: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"{user}:{password}@{parts.netloc.rpartition('@')[2]}").geturl()


def lock_out(postgres_server: EmbeddedServer, url: str) -> None:
    """Change the owner's password and end his sessions: from now on he is refused."""
    user = urlsplit(url).username
    with psycopg.connect(postgres_server.superuser_url, autocommit=True) as server:
        server.execute(f"ALTER ROLE {user} PASSWORD 'another'")
        server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [user])


def everything(processor: Processor) -> str:
    """Whatever anybody can see of a running processor and its commands."""
    processes = [psutil.Process(processor.process.pid), *processor.workers]
    shown = [" ".join(each.cmdline()) for each in processes]
    shown += [processor.admin(path).body.decode() for path in ("/healthz", "/readyz", "/metrics")]
    for command in COMMANDS:
        said = processor.run(*command)
        shown += [said.stdout, said.stderr]
    return "\n".join([*shown, json.dumps(processor.ready), processor.log])


@pytest.mark.parametrize(("protocol", "log_format"), [("grpc", "json"), ("http/protobuf", "console")])
def test_no_secret_is_shown_whatever_fails(
    new_processor: Callable[..., Processor],
    postgres_server: EmbeddedServer,
    owner: str,
    tmp_path: Path,
    protocol: str,
    log_format: str,
) -> None:
    token = "planted-token-of-a-sender"
    (tmp_path / "tokens").write_text(token)
    issued = trustme.CA().issue_cert("127.0.0.1")
    planted = {
        "DATABASE_URL": Planted(owner, "planted-database-password"),
        "TENANT_KEY": Planted("planted-tenant-key", "planted-tenant-key"),
        "FORMER_TENANT_KEYS": Planted("planted-former-tenant-key", "planted-former-tenant-key"),
        "PRIVACY_KEYS": Planted("k1=planted-privacy-key-of-ours", "planted-privacy-key-of-ours"),
        "JUDGE_KEY": Planted("planted-judge-key", "planted-judge-key"),
        "REFLECTION_KEY": Planted("planted-reflection-key", "planted-reflection-key"),
        "FORWARD_HEADERS": Planted("authorization=Bearer%20planted-forward-token", "planted-forward-token"),
    }
    assert set(planted) == {setting.name.upper() for setting in declared() if setting.secret}, "plant the new one too"
    secrets = [each.secret for each in planted.values()] + [token]
    echo = "who is planted-forward-token? (Bearer planted-forward-token)"
    (tmp_path / "policies.toml").write_text(POLICIES)
    with backend(protocol) as jaeger, ModelEndpoint(refuse).serving() as model:
        # Of an answer by HTTP only what says which spans were not taken is repeated.
        jaeger.otherwise = Reply(grpc.StatusCode.UNAUTHENTICATED, 200, rejected=1, words=echo)
        settings = {name: each.text for name, each in planted.items() if name != "DATABASE_URL"}
        settings |= {
            "DRAIN_TIMEOUT": "1s",
            "LOG_LEVEL": "debug",
            "LOG_FORMAT": log_format,
            "TOKENS_FILE": str(tmp_path / "tokens"),
        }
        settings |= {"FORWARD_ENDPOINT": jaeger.endpoint, "FORWARD_PROTOCOL": protocol}
        settings |= {"JUDGE_URL": model.url, "JUDGE_MODEL": "m", "REFLECTION_URL": model.url, "REFLECTION_MODEL": "m"}
        settings |= {"SAMPLING": str(tmp_path / "policies.toml")}
        processor = new_processor(owner, **settings)
        processor.start()
        answers = []

        def post(body: bytes, authorization: str) -> int:
            headers = {"content-type": "application/x-protobuf", "authorization": authorization}
            answer = http_request(processor.ready["otlp_http"], "POST", "/v1/traces", body, headers)
            answers.append(str(answer))
            return answer.status

        assert post(payload(own(task()).spans), f"Bearer {token}") == 200
        processor.settle()  # so its analysis is pending
        processor.wait_for(lambda status: "***" in str(status.forward))
        processor.wait_for(lambda status: status.analysis and not status.analysis.pending)
        answers.append(str(processor.rows("SELECT * FROM deep_samples")))
        answers.append(processor.run("status", "--json").stdout)
        assert post(b"nonsense", f"Bearer {token}") == 400
        assert post(b"", f"Bearer {token}x") == 401
        with closing(grpc.insecure_channel(processor.ready["otlp_grpc"])) as channel:
            call = channel.unary_unary(METHOD, bytes, bytes)
            for given in (token, token + "x"):
                with pytest.raises(grpc.RpcError) as refused:
                    call(b"nonsense", metadata=[("authorization", f"Bearer {given}")])
                answers.append(str(refused.value))
        (tmp_path / "tokens").write_text(f"{token}\nplanted\n")
        for worker in processor.workers:
            worker.kill()
        lock_out(postgres_server, owner)
        assert post(payload(own(task()).spans), f"Bearer {token}") == 200
        processor.wait_for(lambda status: "database" in str(status.health.reasons))
        shown = "\n".join([*answers, everything(processor)])
        processor.stop()
        shown += processor.log
        (tmp_path / "tokens").write_text("planted")
        issued.private_key_pem.write_to_path(tmp_path / "key.pem")
        issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
        processor.environment[f"{PREFIX}TLS_CERT_FILE"] = str(tmp_path / "key.pem")  # mistaken for each other
        processor.environment[f"{PREFIX}TLS_KEY_FILE"] = str(tmp_path / "cert.pem")
        shown += processor.run("serve").stderr
    assert "password authentication failed" in shown, "the database refused, and said so"
    assert "who is ***? (***)" in shown, "the backend refused, and said so"
    assert "TLS_CERT_FILE" in shown
    assert {request.headers["authorization"] for request in model.requests} == {
        "Bearer planted-judge-key", "Bearer planted-reflection-key"
    }, "both were asked"  # fmt: skip
    key = issued.private_key_pem.bytes().decode().splitlines()[1]
    assert [secret for secret in [*secrets, key] if secret in shown] == []
