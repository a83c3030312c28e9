"""Every setting of the processor, declared once: form, default, meaning. Defaults are written as a person would."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar, cast

import platformdirs

from collector_processor.config import values
from collector_processor.config.values import Address, Form
from collector_processor.model.record import GateName, OutlierRule, Severity
from collector_processor.model.stages import Keep, PrivacyKeys
from otel_benchmark.attributes import TaskType

T = TypeVar("T")

EMBEDDED: Final = "embedded"
"""`database_url` that stands for the PostgreSQL which the processor brings along."""


class Setting(NamedTuple):
    """What is known of one setting before any value is read."""

    name: str
    form: Form[Any]
    default: str
    meaning: str
    secret: bool


def _setting(form: Form[T], default: str, meaning: str, *, secret: bool = False) -> T:
    declared = Setting("", form, default, meaning, secret)
    value = form.read(default) if default or form is values.ADDRESS else None
    return cast("T", dataclasses.field(default=value, metadata={"setting": declared}, repr=not secret))


def _names(meaning: str, *always: str) -> tuple[str, ...]:
    declared = Setting("", values.names(*always), ",".join(always), meaning, secret=False)
    return dataclasses.field(default=always, metadata={"setting": declared})


def _severities(meaning: str) -> tuple[tuple[str, str], ...]:
    form = values.assignments("gate=severity", [*GateName], [*Severity])
    return dataclasses.field(default=(), metadata={"setting": Setting("", form, "", meaning, secret=False)})


def _data_dir() -> Path:
    def default() -> Path:
        return platformdirs.user_state_path("otel-benchmark", appauthor=False)

    meaning = "journal, embedded database, fallback files; the default is the platform's state directory of the user"
    declared = Setting("", values.PATH, "", meaning, secret=False)
    return dataclasses.field(default_factory=default, metadata={"setting": declared})


def _read_database_url(text: str) -> str:
    if text == EMBEDDED:
        return text
    if not text.startswith(("postgresql://", "postgres://")):
        raise ValueError
    import psycopg.conninfo  # noqa: PLC0415 - only who names a database of his own pays for the driver here

    try:
        psycopg.conninfo.conninfo_to_dict(text)
    except (psycopg.Error, UnicodeError) as error:
        raise ValueError from error
    return text


_DATABASE_URL: Final[Form[str]] = Form(
    f"'{EMBEDDED}' or a libpq URL such as postgresql://user:password@host:5432/database", _read_database_url, str
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The configuration of a processor. Durations are seconds, sizes bytes; `None` is off or not given."""

    data_dir: Path = _data_dir()
    database_url: str = _setting(
        _DATABASE_URL, EMBEDDED, "the embedded PostgreSQL, or the URL of any other, as its owner", secret=True
    )
    database_timeout: float = _setting(
        values.duration("100ms", "1h"), "120s", "how long the database may take over one statement"
    )
    store_attempts: int = _setting(
        values.count(1, 100), "3", "tries of a batch before the database counts as down; it is tried on after that"
    )
    store_pause: float = _setting(
        values.duration("10ms", "10m"), "2s", "pause after the first of them; each next one is twice as long"
    )
    otlp_grpc: Address | None = _setting(values.ADDRESS, "127.0.0.1:4317", "where OTLP/gRPC is received; empty: off")
    otlp_http: Address | None = _setting(values.ADDRESS, "127.0.0.1:4318", "where OTLP/HTTP is received; empty: off")
    admin: Address | None = _setting(values.ADDRESS, "127.0.0.1:4319", "`/healthz`, `/readyz`, `/metrics`; empty: off")
    tls_cert_file: Path | None = _setting(
        values.FILE, "", "our certificate (PEM, with those between it and its authority): all listeners speak TLS …"
    )
    tls_key_file: Path | None = _setting(values.FILE, "", "… and the key to it (PEM, without a password)")
    tls_client_ca_file: Path | None = _setting(
        values.FILE, "", "authorities (PEM): who sends must show a certificate that comes from one of them"
    )
    tokens_file: Path | None = _setting(
        values.FILE, "", "a token a line: who sends, or reads `/metrics`, must name one (`authorization: Bearer …`)"
    )
    allow_insecure: str = _setting(
        values.choice("on", "off"), "off", "on: listen beyond loopback although neither TLS nor tokens are configured"
    )
    max_connections: int = _setting(
        values.count(1, 100_000), "1000", "connections that a listener holds at once; what comes above is closed"
    )
    grace: float = _setting(
        values.duration("0s", "60s"), "10s", "wait after a task's span has ended; each late span restarts it, up to 60s"
    )
    max_task_age: float = _setting(
        values.duration("1s", "365d"), "24h", "how long spans wait for their task's span before they become orphans"
    )
    foreign_timeout: float = _setting(
        values.duration("1s", "365d"), "10m", "how long traces without any task are kept after their last span"
    )
    closed_timeout: float = _setting(
        values.duration("10s", "7d"), "15m", "how long the journal knows a stored task's spans, late or sent again"
    )
    max_waiting_age: float = _setting(
        values.duration("1h", "3650d"),
        "30d",
        "how long evaluations and orphans wait in the database for their task; then they go, and are counted",
    )
    max_waiting: int = _setting(
        values.count(1, 100_000_000), "100000", "so many of them wait at most; above, the oldest go first"
    )
    max_task_spans: int = _setting(
        values.count(1, 10_000_000), "10000", "spans kept of one task; more are shed, foreign ones first, and counted"
    )
    max_task_bytes: int = _setting(values.size("1KiB", "16GiB"), "64MiB", "the same limit in bytes")
    max_open_spans: int = _setting(
        values.count(1000, 1_000_000_000),
        "5000000",
        "spans of unfinished tasks, some 100 bytes of memory each; from 85 % on foreign ones are shed",
    )
    max_open_traces: int = _setting(
        values.count(100, 1_000_000_000),
        "1000000",
        "their traces, some 500 bytes of memory each; from 85 % on old ones without a lifecycle span are shed",
    )
    tenant_key: bytes | None = _setting(
        values.KEY, "", "hashes tenants that arrive in clear; without it they are left out and flagged", secret=True
    )
    former_tenant_keys: tuple[bytes, ...] | None = _setting(
        values.SECRETS, "", "what `TENANT_KEY` was before: `erase` finds a tenant under each of them", secret=True
    )
    privacy: str = _setting(
        values.choice("on", "off"), "on", "off: texts are stored and forwarded as they come, whatever stands in them"
    )
    privacy_keys: PrivacyKeys | None = _setting(
        values.KEYS,
        "",
        "`k2=secret,k1=secret`: keys of pseudonyms, the current one first; default: `DATA_DIR/privacy.keys`, made once",
        secret=True,
    )
    privacy_violation: str = _setting(
        values.choice("halt", "count"),
        "halt",
        "what `privacy scan` does about a source in whose records it finds something, beside quarantining them",
    )
    privacy_halt_share: float = _setting(
        values.share(), "0.25", "share of the journal for the tasks of one halted source; then it is refused"
    )
    analysis_share: float = _setting(
        values.share(), "0.25", "share of the journal for tasks that wait for their deep analysis; then it is shed"
    )
    flush_records: int = _setting(values.count(1, 1000), "100", "so many waiting records are written at once, …")
    flush_interval: float = _setting(
        values.duration("10ms", "1h"), "60s", "… and after this time all that wait are, whichever comes first"
    )
    evaluator: str | None = _setting(
        values.NAME, "", "whose evaluation a record carries; default: the newest with an overall score"
    )
    unsampled: tuple[str, ...] = _names(
        "services that are known to send every task (`namespace/name`, or `*`): an adjusted count of 1, unless they say"
    )
    sampling: Path | None = _setting(
        values.FILE, "", "policies of deep samples (TOML); default: what `otel-benchmark sampling show` prints"
    )
    drain_timeout: float = _setting(
        values.duration("0s", "1h"), "20s", "at SIGTERM: how long sealed batches may take to be written"
    )
    journal_max_bytes: int = _setting(
        values.size("1MiB", "16TiB"), "8GiB", "a full journal refuses requests, so that senders keep and retry them"
    )
    fallback_dir: Path | None = _setting(
        values.FOLDER,
        "",
        "where redacted facts wait in files for a database that is away; better on another disk; default: "
        "`DATA_DIR/fallback`",
    )
    fallback_at: float = _setting(
        values.share(), "0.5", "share of the journal above which that begins, once the database is down; 1: never"
    )
    fallback_max_bytes: int = _setting(
        values.size("64KiB", "16TiB"), "8GiB", "all of these files; once they are full, batches stay in the journal"
    )
    service_share: float = _setting(
        values.share(0.1),
        "0.75",
        "share of the journal for one service, of what others leave it; then it is refused; 1: no limit",
    )
    dead_letter_share: float = _setting(
        values.share(), "0.1", "share of the journal for dead letters; a task that finds no room there stays sealed"
    )
    workers: int = _setting(values.count(1, 64), "1", "worker processes beside the front")
    worker_timeout: float = _setting(
        values.duration("1s", "1d"),
        "5m",
        "how long a worker may take over a batch, beside `DATABASE_TIMEOUT`; then it is ended, and the batch suspected",
    )
    task_types: tuple[str, ...] = _names(
        "task types that are known beside the five of the strategy, which need not be listed", *TaskType
    )
    agents: tuple[str, ...] = _names("agents that coverage is checked against")
    clock_skew: float = _setting(
        values.duration("0s", "1h"), "1s", "how far clocks may differ before a span outside its task is an error"
    )
    gate_severities: tuple[tuple[str, str], ...] = _severities(
        "severities of quality gates other than their own: `success-quality=warning,latency-outlier=incomplete`"
    )
    outlier_rule: str = _setting(
        values.choice(*OutlierRule),
        "mad",
        "an outlier is more than 3 robust standard deviations above the median (`mad`), or above the 99th percentile",
    )
    outlier_window: float = _setting(
        values.duration("1h", "90d"), "7d", "how far back, to the last full hour, tasks count for what is usual"
    )
    outlier_min_tasks: int = _setting(
        values.count(10, 1_000_000), "100", "fewer tasks of a type in that window say nothing about outliers"
    )
    max_request_bytes: int = _setting(values.size("1KiB", "1GiB"), "64MiB", "largest OTLP request, after decompression")
    max_json_bytes: int = _setting(values.size("1KiB", "1GiB"), "4MiB", "largest OTLP/JSON request, which costs more")
    max_inflight_bytes: int = _setting(
        values.size("1MiB", "64GiB"),
        "256MiB",
        "requests held at once, shared by connections; above, senders are told to come back",
    )
    forward_endpoint: str | None = _setting(
        values.URL,
        "",
        "where redacted traces are sent to by OTLP, such as a Jaeger; https:// means TLS; default: nowhere",
    )
    forward_protocol: str = _setting(
        values.choice("auto", "grpc", "http/protobuf"), "auto", "auto: grpc on port 4317, http/protobuf elsewhere"
    )
    forward_headers: tuple[tuple[str, str], ...] | None = _setting(
        values.HEADERS, "", "name=value,… sent along, such as an authorization", secret=True
    )
    forward_ca_file: Path | None = _setting(values.FILE, "", "certificates (PEM) that its server is trusted by")
    forward_cert_file: Path | None = _setting(values.FILE, "", "our certificate (PEM), where it wants one …")
    forward_key_file: Path | None = _setting(values.FILE, "", "… and the key to it")
    forward_ratio: float = _setting(values.share(), "1", "share of the traces that is forwarded")
    forward_keep: Keep | None = _setting(
        values.KEEP, "", "tasks that are forwarded in any case: `failed`, `partial`, `quarantined`, `score<0.5`"
    )
    forward_queue_bytes: int = _setting(
        values.size("1MiB", "16GiB"),
        "64MiB",
        "held of traces on their way; what comes above is not forwarded, and counted",
    )
    analysts: int = _setting(values.count(1, 64), "1", "processes for deep analyses; each is started when it is needed")
    analysis_timeout: float = _setting(
        values.duration("1s", "1h"), "30s", "what the analysis of one facet may take, requests to a model not counted"
    )
    analysis_memory: int = _setting(
        values.size("64MiB", "64GiB"), "1GiB", "memory of a process for it, beyond what it begins with (Linux)"
    )
    analysis_max_bytes: int = _setting(values.size("16KiB", "64MiB"), "2MiB", "the largest deep sample that is stored")
    judge_url: str | None = _setting(
        values.URL, "", "OpenAI-compatible API whose model judges tasks, such as `http://127.0.0.1:8000/v1`; empty: off"
    )
    judge_model: str | None = _setting(values.NAME, "", "the model's name there")
    judge_key: str | None = _setting(values.TOKEN, "", "the key of that API", secret=True)
    judge_rubric: Path | None = _setting(
        values.FILE, "", "the judge's prompt, named by its first line; default: the one that is shipped"
    )
    judge_votes: int = _setting(values.count(1, 15), "3", "judgements of each task, which are compared")
    judge_calls_per_hour: int = _setting(
        values.count(1, 1_000_000), "600", "requests to the judge in any hour; above, the sample is shed"
    )
    judge_timeout: float = _setting(
        values.duration("1s", "10m"), "60s", "of one request to a model, be it for a judgement or a reflection"
    )
    judge_max_bytes: int = _setting(
        values.size("8KiB", "16MiB"), "200KiB", "prompt that a model is sent; messages in the middle go first"
    )
    reflection_url: str | None = _setting(
        values.URL, "", "the same API of a model that is asked to reflect on tasks whose agent didn't; empty: off"
    )
    reflection_model: str | None = _setting(values.NAME, "", "the model's name there")
    reflection_key: str | None = _setting(values.TOKEN, "", "the key of that API", secret=True)
    reflection_calls_per_hour: int = _setting(values.count(1, 1_000_000), "600", "requests for reflections in any hour")
    chunk_interval: float = _setting(
        values.duration("1h", "90d"),
        "7d",
        "with TimescaleDB: the time that a chunk of records holds",
    )
    compress_after: float | None = _setting(
        values.lifetime("1h", "3650d"), "7d", "with TimescaleDB Community: age at which a chunk is compressed"
    )
    retain_records: float | None = _setting(
        values.lifetime("1d", "36500d"),
        "180d",
        "age at which records go, by whole days or chunks; their statistics stay",
    )
    retain_statistics: float | None = _setting(
        values.lifetime("1d", "36500d"), "730d", "age at which statistics and the audit trail go"
    )
    log_level: str = _setting(values.choice("debug", "info", "warning", "error"), "info", "what is logged on stderr")
    log_format: str = _setting(
        values.choice("auto", "console", "json"), "auto", "auto: for people on a terminal, JSON lines elsewhere"
    )


def declared() -> Iterator[Setting]:
    """All settings in the order of `Settings`, with their names."""
    for field in dataclasses.fields(Settings):
        setting: Setting = field.metadata["setting"]
        yield setting._replace(name=field.name)
