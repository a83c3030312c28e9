"""Where settings come from, and what is said when one can't be used."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector_processor.config import PREFIX, Address, Settings, describe, load, mask_url, reference
from collector_processor.config.settings import declared
from collector_processor.errors import ConfigError

KEY = "an example of a tenant key"
URL = "postgresql://owner:s3cret@db.example:5433/benchmark"


def env(**settings: str) -> dict[str, str]:
    return {PREFIX + name.upper(): text for name, text in settings.items()}


def test_without_anything_every_setting_has_its_default() -> None:
    settings, origins = load({"PATH": "/bin"})
    assert settings == Settings()
    assert set(origins.values()) == {"default"}
    assert settings.otlp_http == Address("127.0.0.1", 4318)
    assert (settings.grace, settings.max_task_age, settings.max_task_bytes) == (10.0, 86400.0, 64 << 20)
    assert settings.task_types == ("code-editing", "research", "data-analysis", "design", "planning")
    assert settings.data_dir.is_absolute()


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(tmp_path: Path) -> None:
    file = tmp_path / "processor.toml"
    file.write_text('grace = "2s"\nworkers = 3\nagents = ["one", "two"]\nadmin = ""\n')
    settings, origins = load(env(grace="250ms"), file)
    assert (settings.grace, settings.workers, settings.agents, settings.admin) == (0.25, 3, ("one", "two"), None)
    assert origins["grace"] == "environment"
    assert origins["workers"] == str(file)
    assert origins["clock_skew"] == "default"


def test_the_file_may_be_named_by_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "processor.toml"
    file.write_text('flush_interval = "1s"\n')
    assert load({"COLLECTOR_PROCESSOR_CONFIG": str(file)}).settings.flush_interval == 1.0


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("grace", "1m", 60.0),
        ("max_task_age", "7d", 604800.0),
        ("retain_records", "30d", 2592000.0),
        ("retain_records", "never", None),
        ("compress_after", "0", None),
        ("clock_skew", "1.5s", 1.5),
        ("journal_max_bytes", "1.5GiB", 3 << 29),
        ("max_task_bytes", "4096B", 4096),
        ("gate_severities", "enums=error, pii=critical", (("enums", "error"), ("pii", "critical"))),
        ("outlier_rule", "p99", "p99"),
        ("otlp_grpc", "[::1]:0", Address("::1", 0)),
        ("otlp_http", "localhost:14318", Address("localhost", 14318)),
        ("admin", "", None),
        ("tenant_key", KEY, KEY.encode()),
        ("former_tenant_keys", f"{KEY}, {KEY}2\n", (KEY.encode(), f"{KEY}2".encode())),
        ("database_url", URL, URL),
        ("task_types", "translation, research", ("code-editing", "research", "data-analysis", "design", "planning")),
    ],
)
def test_values_are_read_in_their_written_form(name: str, text: str, value: object) -> None:
    read = getattr(load(env(**{name: text})).settings, name)
    assert read == value if name != "task_types" else read == (*value, "translation")  # type: ignore[misc]


def test_an_empty_variable_counts_as_unset() -> None:
    assert load(env(grace="", evaluator="", tenant_key="")).settings == Settings()


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("grace", "10", "a duration such as 250ms"),
        ("retain_records", "1h", "from 1d to 36500d, or never"),
        ("chunk_interval", "never", "from 1h to 90d"),
        ("grace", "61s", "from 0s to 60s"),
        ("grace", "-1s", "a duration"),
        ("grace", "nans", "a duration"),
        ("max_task_bytes", "64MB", "a size such as"),
        ("flush_records", "1001", "a whole number from 1 to 1000"),
        ("flush_records", "١٢", "a whole number"),
        ("otlp_http", "4318", "address:port"),
        ("otlp_http", "127.0.0.1:70000", "address:port"),
        ("log_level", "verbose", "one of debug, info, warning, error"),
        ("agents", "a,,b", "names separated by commas"),
        ("gate_severities", "enum=error", "a gate is one of required-sections, required-fields, reported"),
        ("gate_severities", "enums=fatal", "a severity is one of incomplete, warning, error, critical"),
        ("gate_severities", "enums", "gate=severity pairs"),
        ("gate_severities", "enums=error=critical", "gate=severity pairs"),
        ("gate_severities", "enums=error,enums=warning", "each gate once"),
        ("outlier_rule", "iqr", "one of mad, p99"),
        ("outlier_min_tasks", "9", "a whole number from 10"),
        ("data_dir", "~nobody-of-this-name/x", "the path of a directory"),
    ],
)
def test_a_wrong_value_names_the_setting_the_value_and_the_form(name: str, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(env(**{name: text}))
    message = str(caught.value)
    assert message.startswith(PREFIX + name.upper())
    assert repr(text) in message
    assert words in message


@pytest.mark.parametrize("url", ["postgresql://owner:s3cret%zz@host/db", "mysql://owner:s3cret@host/db", "s3cret"])
def test_a_wrong_secret_is_named_but_never_shown(url: str) -> None:
    with pytest.raises(ConfigError, match=r"DATABASE_URL: its value \(not shown\)") as caught:
        load(env(database_url=url))
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("name", [setting.name for setting in declared() if setting.secret])
@pytest.mark.parametrize("source", ["environment", "file of its own", "configuration"])
def test_no_secret_that_cannot_be_used_is_shown_from_wherever_it_comes(name: str, source: str, tmp_path: Path) -> None:
    bad = "s3cr\t,"  # no form takes it
    environ, configuration = env(**{name: bad}), None
    if source == "file of its own":
        (tmp_path / "secret").write_text(bad)
        environ = env(**{f"{name}_file": str(tmp_path / "secret")})
    elif source == "configuration":
        configuration = tmp_path / "processor.toml"
        configuration.write_text(f"{name} = {json.dumps(bad)}\n")
        environ = {}
    with pytest.raises(ConfigError, match=f"(?i){name}.*not shown") as caught:
        load(environ, configuration)
    assert "s3cr" not in str(caught.value)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        load(env(grase="1s", workers="none", clock_skew="1"))
    message = str(caught.value)
    assert "did you mean COLLECTOR_PROCESSOR_GRACE?" in message
    assert len(message.splitlines()) == 3


def test_what_kubernetes_sets_for_a_service_of_our_name_is_no_setting_of_ours() -> None:
    links = {
        "COLLECTOR_PROCESSOR_SERVICE_HOST": "10.0.0.1",
        "COLLECTOR_PROCESSOR_SERVICE_PORT_OTLP_GRPC": "4317",
        "COLLECTOR_PROCESSOR_PORT": "tcp://10.0.0.1:4317",
        "COLLECTOR_PROCESSOR_PORT_4317_TCP_ADDR": "10.0.0.1",
    }
    assert load(links).settings == Settings()


def test_a_file_says_what_is_wrong_in_it(tmp_path: Path) -> None:
    file = tmp_path / "processor.toml"
    file.write_text('grase = "1s"\nworkers = true\n[admin]\nhost = "x"\n')
    with pytest.raises(ConfigError) as caught:
        load({}, file)
    message = str(caught.value)
    assert "did you mean grace?" in message
    assert f"{file}: workers: write it as text" in message
    assert f"{file}: admin: write it as text" in message


@pytest.mark.parametrize("content", [None, b"grace = ", b"\xff\xfe"])
def test_an_unreadable_file_is_an_error(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "processor.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"configuration file .* can't be read"):
        load({}, file)


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    key, url = tmp_path / "key", tmp_path / "url"
    key.write_text(KEY + "\n")
    url.write_text(URL)
    config = tmp_path / "processor.toml"
    config.write_text(f'database_url_file = "{url}"\n')
    settings, origins = load(env(tenant_key_file=str(key)), config)
    assert (settings.tenant_key, settings.database_url) == (KEY.encode(), URL)
    assert origins["tenant_key"] == f"environment, in the file {key}"
    assert origins["database_url"] == f"{config}, in the file {url}"


def test_both_forms_of_a_secret_are_an_error(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(KEY)
    with pytest.raises(ConfigError, match="TENANT_KEY and COLLECTOR_PROCESSOR_TENANT_KEY_FILE are both given"):
        load(env(tenant_key=KEY, tenant_key_file=str(key)))


def test_a_secret_in_the_environment_wins_over_a_file_form_in_the_configuration(tmp_path: Path) -> None:
    config = tmp_path / "processor.toml"
    config.write_text(f'database_url_file = "{tmp_path / "absent"}"\n')
    assert load(env(database_url=URL), config).settings.database_url == URL


def test_a_secret_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"TENANT_KEY_FILE: .* can't be read: Is a directory"):
        load(env(tenant_key_file=str(tmp_path)))


def test_settings_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ConfigError, match="MAX_INFLIGHT_BYTES is less than twice"):
        load(env(max_inflight_bytes="1MiB"))
    with pytest.raises(ConfigError, match=r"ADMIN and COLLECTOR_PROCESSOR_OTLP_HTTP are both 127\.0\.0\.1:4318"):
        load(env(admin="127.0.0.1:4318"))
    assert load(env(admin="127.0.0.1:0", otlp_http="127.0.0.1:0")).settings.admin == Address("127.0.0.1", 0)


@pytest.mark.parametrize("name", ["otlp_grpc", "otlp_http", "admin"])
@pytest.mark.parametrize("address", ["0.0.0.0:14317", "[::]:14317", "10.1.2.3:14317", "processor.internal:14317"])
def test_what_others_can_reach_asks_who_they_are_or_says_that_it_does_not(
    name: str, address: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(env(**{name: address}))
    assert str(caught.value) == (
        f"{PREFIX}{name.upper()} is {address}, where anybody may come: give {PREFIX}TLS_CERT_FILE and "
        f"{PREFIX}TLS_KEY_FILE, or {PREFIX}TOKENS_FILE, or say {PREFIX}ALLOW_INSECURE=on"
    )
    file = tmp_path / "any.pem"
    file.touch()
    for enough in (
        {"tls_cert_file": str(file), "tls_key_file": str(file)},
        {"tokens_file": str(file)},
        {"allow_insecure": "on"},
    ):
        assert str(getattr(load(env(**{name: address}, **enough)).settings, name)) == address


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.8.9.1:1", "[::1]:1", "localhost:1", "LOCALHOST:1", ""])
def test_loopback_needs_nothing(address: str) -> None:
    load(env(otlp_grpc=address))


def test_parts_of_tls_that_belong_together(tmp_path: Path) -> None:
    file = tmp_path / "any.pem"
    file.touch()
    with pytest.raises(ConfigError, match="TLS_CERT_FILE and COLLECTOR_PROCESSOR_TLS_KEY_FILE belong together"):
        load(env(tls_cert_file=str(file)))
    with pytest.raises(ConfigError, match="TLS_CLIENT_CA_FILE is about TLS"):
        load(env(tls_client_ca_file=str(file)))


names = st.sampled_from([setting.name for setting in declared()]) | st.from_regex(r"[A-Za-z_]{1,20}", fullmatch=True)
texts = (
    st.text(max_size=40).filter(lambda text: "\0" not in text)
    | st.from_regex(r"[0-9.\-+]{1,18} ?(ms|s|m|h|d|B|KiB|MiB|GiB|MB)?", fullmatch=True)
    | st.from_regex(r"\[?[a-z0-9:.]*\]?:[0-9]{0,7}", fullmatch=True)
    | st.from_regex(r"postgres(ql)?://[a-z0-9:%@/?&=\[\],]{0,30}", fullmatch=True)
)


@given(st.dictionaries(names, texts, max_size=6))
def test_whatever_the_environment_holds_the_answer_is_settings_or_a_config_error(values: dict[str, str]) -> None:
    try:
        settings, origins = load(env(**values))
    except ConfigError as error:
        assert str(error)  # noqa: PT017 - either way is right; what matters is that nothing else is raised
    else:
        assert isinstance(settings, Settings)
        assert set(origins) == {setting.name for setting in declared()}


toml_values = st.recursive(
    st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just("x"), inner, max_size=1),
    max_leaves=4,
)


@given(values=st.dictionaries(names, toml_values, max_size=5))
def test_whatever_a_file_holds_the_answer_is_settings_or_a_config_error(
    values: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> None:
    # Most JSON values are TOML values; the few that are not make files that can't be read, which is a case too.
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in values.items()]
    file = tmp_path_factory.mktemp("config") / "processor.toml"
    file.write_text("".join(lines), encoding="utf-8")
    try:
        assert isinstance(load({}, file).settings, Settings)
    except ConfigError as error:
        assert str(error)  # noqa: PT017 - as above


def test_what_is_shown_can_be_read_again() -> None:
    given = env(grace="1m", journal_max_bytes="1.5GiB", otlp_grpc="[::1]:14317", admin="", agents="a,b", workers="2")
    rows = describe(load(given))
    again = {row.variable: row.value for row in rows if row.name not in {"tenant_key", "database_url"}}
    assert load(again).settings == load(given).settings


def test_secrets_are_masked_wherever_settings_are_shown() -> None:
    loaded = load(env(tenant_key=KEY, database_url=URL))
    rows = {row.name: row for row in describe(loaded)}
    assert rows["tenant_key"].value == "***"
    assert rows["database_url"].value == "postgresql://owner:***@db.example:5433/benchmark"
    assert KEY not in repr(loaded.settings)
    assert "s3cret" not in repr(loaded.settings)


def test_the_reference_names_every_setting_once() -> None:
    table = reference()
    for field in dataclasses.fields(Settings):
        assert table.count(f"| `{field.name.upper()}`") == 1


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("embedded", "embedded"),
        ("postgresql://host/db", "postgresql://host/db"),
        ("postgresql://owner@host/db", "postgresql://owner@host/db"),
        ("postgresql://owner:pw@host:1,other:2/db?sslmode=require", "postgresql://owner:***@host:1,other:2/db?sslmode=require"),
        ("postgresql:///db?host=/run/pg&password=pw&user=me", "postgresql:///db?host=/run/pg&password=***&user=me"),
        ("postgresql://host/db?sslpassword=pw", "postgresql://host/db?sslpassword=***"),
        ("host=db password='p w' user=me", "host=db password=*** user=me"),
        ("postgresql://owner:p@w:x@host/db", "postgresql://owner:***@host/db"),
    ],
)  # fmt: skip
def test_a_url_is_shown_without_its_passwords(url: str, masked: str) -> None:
    assert mask_url(url) == masked


@given(st.text(alphabet=st.characters(codec="utf-8"), min_size=1))
def test_no_password_survives_masking(password: str) -> None:
    assert mask_url(f"postgresql://owner:{password}@/") == "postgresql://owner:***@/"


@pytest.mark.parametrize("name", ["JUDGE", "REFLECTION"])
def test_an_endpoint_and_its_model_belong_together(name):
    for alone, value in (("URL", "http://127.0.0.1:8000/v1"), ("MODEL", "judge-1")):
        with pytest.raises(ConfigError, match=f"{name}_URL and COLLECTOR_PROCESSOR_{name}_MODEL belong together"):
            load({f"COLLECTOR_PROCESSOR_{name}_{alone}": value})


def test_a_key_of_an_endpoint_has_no_spaces():
    with pytest.raises(ConfigError, match=r"JUDGE_KEY: its value \(not shown\) is not a key in printable ASCII"):
        load({"COLLECTOR_PROCESSOR_JUDGE_KEY": "Bearer secret"})
