"""The textual forms of settings: durations, sizes, addresses, lists, names. Each is a `Form`: words, read, show."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Generic, NamedTuple, TypeVar
from urllib.parse import quote, unquote, urlsplit

from collector_processor.model.stages import Keep, PrivacyKeys

T = TypeVar("T")

_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES: Final = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_QUANTITY: Final = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)\s?([A-Za-z]+)", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,15})?", re.ASCII)
_HEADER_NAME: Final = re.compile(r"[a-z0-9_.-]+", re.ASCII)
_KEY_ID: Final = re.compile(r"[a-z][a-z0-9]{0,15}", re.ASCII)
_OUTCOMES: Final = {"failed": "failure", "partial": "partial"}
"""How people call an outcome, and how records do."""
_STATES: Final = ("quarantined",)
_ADDRESS: Final = re.compile(r"(?:\[([0-9A-Fa-f:.%]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})", re.ASCII)


class Address(NamedTuple):
    """Where to listen. Port 0 takes a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        """`host:port`, with brackets around an IPv6 address."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can come; of names that is known of `localhost` alone."""
        if self.host.lower() == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host.partition("%")[0]).is_loopback
        except ValueError:
            return False


class Form(NamedTuple, Generic[T]):
    """How a kind of value is written.

    Attributes:
        words: the allowed form, as an error message names it.
        read: text to value; raises ValueError where the text has another form.
        show: value to the text that `read` takes.
    """

    words: str
    read: Callable[[str], T]
    show: Callable[[T], str]


def duration(least: str, most: str) -> Form[float]:
    """Seconds, written as `250ms`, `10s`, `1m`, `24h` or `7d`, between the two bounds."""
    low, high = _quantity(least, _SECONDS), _quantity(most, _SECONDS)

    def read(text: str) -> float:
        return _within(_quantity(text, _SECONDS), low, high)

    return Form(f"a duration such as 250ms, 10s, 5m, 24h or 7d, from {least} to {most}", read, show_duration)


def lifetime(least: str, most: str) -> Form[float | None]:
    """Seconds, written as a duration between the two bounds; None, written `never` (or `0`), has no end."""
    bounded = duration(least, most)

    def read(text: str) -> float | None:
        return None if text in ("never", "0") else bounded.read(text)

    def show(value: float | None) -> str:
        return "never" if value is None else show_duration(value)

    return Form(f"{bounded.words}, or never", read, show)


def size(least: str, most: str) -> Form[int]:
    """Bytes, written as `512KiB`, `64MiB` or `8GiB`, between the two bounds."""
    low, high = _quantity(least, _BYTES), _quantity(most, _BYTES)

    def read(text: str) -> int:
        return int(_within(_quantity(text, _BYTES), low, high))

    return Form(f"a size such as 512KiB, 64MiB or 8GiB, from {least} to {most}", read, show_size)


def count(least: int, most: int) -> Form[int]:
    """A whole number between the two bounds."""

    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,15}", text, re.ASCII):
            raise ValueError(text)
        return int(_within(int(text), least, most))

    return Form(f"a whole number from {least} to {most}", read, str)


def share(least: float = 0.0, most: float = 1.0) -> Form[float]:
    """A number such as 0.25 between the two bounds."""

    def read(text: str) -> float:
        if not _NUMBER.fullmatch(text):
            raise ValueError(text)
        return _within(float(text), least, most)

    return Form(f"a number from {least:g} to {most:g}, such as 0.25", read, lambda value: f"{value:g}")


def choice(*options: str) -> Form[str]:
    """One of the named options."""

    def read(text: str) -> str:
        if text not in options:
            raise ValueError(text)
        return text

    return Form(f"one of {', '.join(options)}", read, str)


def names(*always: str) -> Form[tuple[str, ...]]:
    """Comma-separated names, in order and each once; those in `always` come first and need not be written."""

    def read(text: str) -> tuple[str, ...]:
        listed = [name.strip() for name in text.split(",")]
        if not all(name and name.isprintable() for name in listed):
            raise ValueError(text)
        return tuple(dict.fromkeys([*always, *listed]))

    def show(value: Sequence[str]) -> str:
        return ",".join(value)

    return Form("names separated by commas, such as first,second", read, show)


def assignments(what: str, keys: Sequence[str], choices: Sequence[str]) -> Form[tuple[tuple[str, str], ...]]:
    """Comma-separated `key=choice` pairs, each key once; `what` names both, as in `gate=severity`."""

    def read(text: str) -> tuple[tuple[str, str], ...]:
        pairs = [tuple(part.strip() for part in pair.split("=")) for pair in text.split(",")]
        if not all(len(pair) == 2 and pair[0] in keys and pair[1] in choices for pair in pairs):
            raise ValueError(text)
        if len({key for key, _ in pairs}) < len(pairs):
            raise ValueError(text)
        return tuple((key, choice) for key, choice in pairs)

    def show(value: Sequence[tuple[str, str]]) -> str:
        return ",".join(f"{key}={choice}" for key, choice in value)

    left, right = what.split("=")
    words = (
        f"{what} pairs separated by commas, such as {keys[0]}={choices[0]}, each {left} once;"
        f" a {left} is one of {', '.join(keys)}; a {right} is one of {', '.join(choices)}"
    )
    return Form(words, read, show)


def _read_address(text: str) -> Address | None:
    if not text:
        return None
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match[3]) > 0xFFFF:
        raise ValueError(text)
    return Address(match[1] or match[2], int(match[3]))


def _read_path(text: str) -> Path:
    if not text.isprintable():
        raise ValueError(text)
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError as error:  # `~somebody` who does not exist
        raise ValueError(text) from error


def _read_name(text: str) -> str:
    if not text.isprintable():
        raise ValueError(text)
    return text


def _read_key(text: str) -> bytes:
    key = text.encode()
    if len(key) < 16:
        raise ValueError
    return key


def _read_secrets(text: str) -> tuple[bytes, ...]:
    return tuple(_read_key(part.strip()) for part in re.split(r"[,\n]", text) if part.strip())


def _read_token(text: str) -> str:
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise ValueError
    return text


def _read_keys(text: str) -> PrivacyKeys:
    keys: dict[str, bytes] = {}
    for line in filter(None, (part.strip() for part in re.split(r"[,\n]", text))):
        key_id, equals, key = (part.strip() for part in line.partition("="))
        if not equals or not _KEY_ID.fullmatch(key_id) or key_id in keys:
            raise ValueError
        keys[key_id] = _read_key(key)
    if not keys:
        raise ValueError
    return tuple(keys.items())


def _read_file(text: str) -> Path:
    path = _read_path(text)
    if not path.is_file():
        raise ValueError(text)
    return path


def _read_url(text: str) -> str:
    parts = urlsplit(text)
    readable = parts.port != 0 and bool(parts.hostname) and text.isprintable() and " " not in text
    # A password belongs into a header, which is masked wherever settings are shown.
    bare = not (parts.username or parts.password or parts.query or parts.fragment)
    if parts.scheme not in {"http", "https"} or not readable or not bare:
        raise ValueError(text)
    return text


def _read_headers(text: str) -> tuple[tuple[str, str], ...]:
    headers = []
    for pair in text.split(","):
        name, equals, value = (part.strip() for part in pair.partition("="))
        name, value = unquote(name).lower(), unquote(value)
        if not equals or not _HEADER_NAME.fullmatch(name) or not (value.isascii() and value.isprintable()):
            raise ValueError
        headers.append((name, value))
    return tuple(headers)


def _read_keep(text: str) -> Keep:
    outcomes, states, score_below = [], [], None
    for condition in (part.strip() for part in text.split(",")):
        if condition in _OUTCOMES:
            outcomes.append(_OUTCOMES[condition])
        elif condition in _STATES:
            states.append(condition)
        elif condition.startswith("score<") and score_below is None:
            score_below = share().read(condition.removeprefix("score<").strip())
        else:
            raise ValueError(text)
    return Keep(tuple(outcomes), tuple(states), score_below)


def _show_keep(keep: Keep | None) -> str:
    if keep is None:
        return ""
    named = [word for word, outcome in _OUTCOMES.items() if outcome in keep.outcomes]
    score = [] if keep.score_below is None else [f"score<{keep.score_below:g}"]
    return ",".join([*named, *keep.states, *score])


ADDRESS: Final[Form[Address | None]] = Form(
    "address:port such as 127.0.0.1:4318 or [::1]:4318 (port 0 takes a free one), or empty for off",
    _read_address,
    lambda value: "" if value is None else str(value),
)
PATH: Final[Form[Path]] = Form("the path of a directory", _read_path, str)
FOLDER: Final[Form[Path | None]] = Form(
    "the path of a directory", _read_path, lambda value: "" if value is None else str(value)
)
NAME: Final[Form[str | None]] = Form("a name", _read_name, lambda value: value or "")
KEY: Final[Form[bytes | None]] = Form(
    "a secret of at least 16 bytes", _read_key, lambda value: "" if value is None else value.decode(errors="replace")
)
SECRETS: Final[Form[tuple[bytes, ...] | None]] = Form(
    "secrets of at least 16 bytes without a comma, separated by commas or a line each",
    _read_secrets,
    lambda value: ",".join(each.decode(errors="replace") for each in value or ()),
)
TOKEN: Final[Form[str | None]] = Form(
    "a key in printable ASCII, without spaces", _read_token, lambda value: value or ""
)
KEYS: Final[Form[PrivacyKeys | None]] = Form(
    "keys such as k2=secret,k1=secret (or a line each), the current one first; an id is a lower-case letter and up to"
    " 15 more letters and digits, a secret has at least 16 bytes and no comma",
    _read_keys,
    lambda value: ",".join(f"{key_id}={key.decode(errors='replace')}" for key_id, key in value or ()),
)
FILE: Final[Form[Path | None]] = Form(
    "the path of a file", _read_file, lambda value: "" if value is None else str(value)
)
URL: Final[Form[str | None]] = Form(
    "a URL such as http://127.0.0.1:4317, without a password, a query or a fragment",
    _read_url,
    lambda value: value or "",
)
HEADERS: Final[Form[tuple[tuple[str, str], ...] | None]] = Form(
    "headers such as name=value,other=value with percent-encoded values",
    _read_headers,
    lambda value: ",".join(f"{name}={quote(text)}" for name, text in value or ()),
)
KEEP: Final[Form[Keep | None]] = Form(
    "conditions separated by commas, of failed, partial, quarantined and score<0.5", _read_keep, _show_keep
)


def show_duration(seconds: float) -> str:
    """`90.0` → `90s`, `120.0` → `2m`, `0.25` → `250ms`: the largest unit that needs no fraction."""
    for unit in ("d", "h", "m", "s"):
        if seconds and seconds % _SECONDS[unit] == 0:
            return f"{seconds / _SECONDS[unit]:.0f}{unit}"
    return f"{round(seconds * 1000, 6):g}ms" if seconds else "0s"


def show_size(size: int) -> str:
    """`67108864` → `64MiB`: the largest unit that needs no fraction."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if size and size % _BYTES[unit] == 0:
            return f"{size // _BYTES[unit]}{unit}"
    return f"{size}B"


def _quantity(text: str, units: dict[str, float] | dict[str, int]) -> float:
    match = _QUANTITY.fullmatch(text)
    if match is None or match[2] not in units:
        raise ValueError(text)
    return float(match[1]) * units[match[2]]


def _within(value: float, low: float, high: float) -> float:
    if not low <= value <= high:
        raise ValueError(value)
    return value
