"""Where values come from: the environment wins over the TOML file, which wins over the default.

All that is wrong is said at once, in one ConfigError with a line for each setting. A secret's value never
appears in an error.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from collector_processor.config.settings import Setting, Settings, declared
from collector_processor.config.values import ADDRESS, Address
from collector_processor.errors import ConfigError

PREFIX: Final = "COLLECTOR_PROCESSOR_"
CONFIG_VARIABLE: Final = PREFIX + "CONFIG"
DEFAULT: Final = "default"
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})

_SERVICE_LINK: Final = re.compile(r"SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_\d+_(TCP|UDP|SCTP)(_.*)?)?")
"""What Kubernetes sets in every pod beside a Service that is called `collector-processor`: not ours to judge."""


class Loaded(NamedTuple):
    """The settings, and for each by name where its value comes from."""

    settings: Settings
    origins: Mapping[str, str]


class _Text(NamedTuple):
    """A value as it was written, with the name under which a person finds it."""

    source: str
    text: str
    origin: str


def load(environ: Mapping[str, str], config_file: Path | None = None) -> Loaded:
    """Read all settings.

    Args:
        environ: the environment; only `COLLECTOR_PROCESSOR_*` is looked at.
        config_file: a TOML file; without it the one that `COLLECTOR_PROCESSOR_CONFIG` names, if any.

    Raises:
        ConfigError: a setting is unknown or its value can't be used; a line for each.
    """
    problems: list[str] = []
    file = config_file or (Path(environ[CONFIG_VARIABLE]) if environ.get(CONFIG_VARIABLE) else None)
    in_file = _read_toml(file, problems) if file else {}
    in_environ = _read_environ(environ, problems)
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for setting in declared():
        written = _pick(setting, in_environ, "environment", PREFIX, problems)
        if written is None and file is not None:
            written = _pick(setting, in_file, str(file), "", problems)
        if written is None:
            origins[setting.name] = DEFAULT
            continue
        origins[setting.name] = written.origin
        try:
            values[setting.name] = setting.form.read(written.text)
        except ValueError:
            shown = "its value (not shown)" if setting.secret else _quote(written.text)
            problems.append(f"{written.source}: {shown} is not {setting.form.words}")
    problems += _contradictions(values)
    if problems:
        raise ConfigError("\n".join(problems))
    return Loaded(Settings(**values), origins)


def _read_environ(environ: Mapping[str, str], problems: list[str]) -> dict[str, str]:
    """Settings by lower-case name. An empty variable counts as unset, but turns an address off."""
    known = {PREFIX + name.upper(): form for name, form in _names()}
    found: dict[str, str] = {}
    for variable, text in sorted(environ.items()):
        if not variable.startswith(PREFIX) or variable == CONFIG_VARIABLE:
            continue
        if variable not in known:
            if not _SERVICE_LINK.fullmatch(variable.removeprefix(PREFIX)):
                problems.append(_unknown(variable, [*known, CONFIG_VARIABLE]))
        elif text or known[variable]:
            found[variable.removeprefix(PREFIX).lower()] = text
    return found


def _read_toml(file: Path, problems: list[str]) -> dict[str, str]:
    try:
        with file.open("rb") as stream:
            content = tomllib.load(stream)
    except (OSError, ValueError, RecursionError) as error:
        problems.append(f"configuration file {_quote(str(file))} can't be read: {_reason(error)}")
        return {}
    known = {name for name, _ in _names()}
    found: dict[str, str] = {}
    for name, value in content.items():
        match value:
            case _ if name not in known:
                problems.append(f"{file}: {_unknown(name, sorted(known))}")
            case str():
                found[name] = value
            case int() if not isinstance(value, bool):
                found[name] = _decimal(value)
            case list() if all(isinstance(item, str) for item in value):
                if value:
                    found[name] = ",".join(value)
            case _:
                problems.append(f"{file}: {name}: write it as text in quotes, a whole number or a list of texts")
    return found


def _names() -> Iterator[tuple[str, bool]]:
    """Every name that a source may give, with whether an empty value says something."""
    for setting in declared():
        yield setting.name, setting.form is ADDRESS
        if setting.secret:
            yield f"{setting.name}_file", False


def _pick(setting: Setting, source: Mapping[str, str], origin: str, prefix: str, problems: list[str]) -> _Text | None:
    """The setting's value in one source: given directly, or for a secret by the name of a file that holds it."""

    def label(name: str) -> str:
        return prefix + name.upper() if prefix else f"{origin}: {name}"

    name, file_name = setting.name, f"{setting.name}_file"
    if not setting.secret or file_name not in source:
        return _Text(label(name), source[name], origin) if name in source else None
    if name in source:
        problems.append(f"{label(name)} and {label(file_name)} are both given: keep one of them")
        return None
    path = source[file_name]
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, ValueError, RuntimeError) as error:
        problems.append(f"{label(file_name)}: {_quote(path)} can't be read: {_reason(error)}")
        return None
    return _Text(label(file_name), text, f"{origin}, in the file {path}")


def _contradictions(values: Mapping[str, Any]) -> Iterator[str]:
    """What no setting tells alone. Only settings that could be read take part."""
    settings = Settings(**values)
    if settings.max_inflight_bytes < 2 * settings.max_request_bytes:
        yield (
            f"{PREFIX}MAX_INFLIGHT_BYTES is less than twice {PREFIX}MAX_REQUEST_BYTES: "
            "a request of the largest size would find no room while others send"
        )
    listeners = {
        name: address
        for name, address in (
            ("OTLP_GRPC", settings.otlp_grpc),
            ("OTLP_HTTP", settings.otlp_http),
            ("ADMIN", settings.admin),
        )
        if address is not None and address.port
    }
    for name, address in listeners.items():
        twin = next((other for other, taken in listeners.items() if taken == address and other < name), None)
        if twin is not None:
            yield f"{PREFIX}{twin} and {PREFIX}{name} are both {address}: give each a port of its own"
    yield from _exposed(settings)
    yield from _forwarding(settings, listeners)
    yield from _models(settings)


def _exposed(settings: Settings) -> Iterator[str]:
    if (settings.tls_cert_file is None) != (settings.tls_key_file is None):
        yield f"{PREFIX}TLS_CERT_FILE and {PREFIX}TLS_KEY_FILE belong together: give both"
    if settings.tls_client_ca_file and not settings.tls_cert_file:
        yield f"{PREFIX}TLS_CLIENT_CA_FILE is about TLS: give {PREFIX}TLS_CERT_FILE and {PREFIX}TLS_KEY_FILE too"
    if settings.tls_cert_file or settings.tokens_file or settings.allow_insecure == "on":
        return
    for name in ("otlp_grpc", "otlp_http", "admin"):
        address: Address | None = getattr(settings, name)
        if address is not None and not address.is_loopback:
            yield (
                f"{PREFIX}{name.upper()} is {address}, where anybody may come: give {PREFIX}TLS_CERT_FILE and "
                f"{PREFIX}TLS_KEY_FILE, or {PREFIX}TOKENS_FILE, or say {PREFIX}ALLOW_INSECURE=on"
            )


def _forwarding(settings: Settings, listeners: Mapping[str, Address]) -> Iterator[str]:
    if (settings.forward_cert_file is None) != (settings.forward_key_file is None):
        yield f"{PREFIX}FORWARD_CERT_FILE and {PREFIX}FORWARD_KEY_FILE belong together: give both"
    if settings.forward_endpoint is None:
        return
    endpoint = urlsplit(settings.forward_endpoint)
    files = (settings.forward_ca_file, settings.forward_cert_file)
    if endpoint.scheme == "http" and any(files):
        yield f"{PREFIX}FORWARD_ENDPOINT is without TLS but has certificates: write it with https://"
    if endpoint.hostname in _LOOPBACK and endpoint.port in {address.port for address in listeners.values()}:
        yield f"{PREFIX}FORWARD_ENDPOINT is this processor itself: name another backend"


def _models(settings: Settings) -> Iterator[str]:
    for name in ("judge", "reflection"):
        url, model = getattr(settings, f"{name}_url"), getattr(settings, f"{name}_model")
        if (url is None) != (model is None):
            yield f"{PREFIX}{name.upper()}_URL and {PREFIX}{name.upper()}_MODEL belong together: give both"


def _unknown(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name[:100], known, n=1)
    advice = f"did you mean {close[0]}?" if close else "`otel-benchmark config show` lists all settings"
    return f"{_quote(name)} is no setting: {advice}"


def _quote(text: str) -> str:
    shown = repr(text)
    return shown if len(shown) <= 100 else f"{shown[:97]}…{shown[0]}"


def _decimal(number: int) -> str:
    # TOML knows hexadecimal, which makes integers that str() refuses to write out.
    return str(number) if abs(number) < 1 << 64 else f"{number:#x}"


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error).splitlines()[0] if str(error) else type(error).__name__
