"""Which files of tokens are good, and what is said of the others: never a token."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from collector_processor.errors import ConfigError, UnauthenticatedError
from collector_processor.receive.tokens import Tokens

TOKEN = "a-token-of-good-length"
HEADER = f"Bearer {TOKEN}".encode()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tokens"
    path.write_text(TOKEN)
    return path


def test_a_token_opens_and_nothing_else_does(file: Path) -> None:
    tokens = Tokens(file, "TOKENS_FILE")
    for good in (HEADER, HEADER + b"  ", HEADER.replace(b"Bearer", b"BEARER")):
        tokens.check(good)
    bad = [b"", b"Bearer", b"Bearer ", TOKEN.encode(), HEADER + b"x", HEADER[:-1], b"Bearer \xff" + TOKEN.encode()]
    for each in [*bad, HEADER.replace(b"Bearer", b"Basic"), HEADER.upper()]:
        with pytest.raises(UnauthenticatedError, match="A token is needed" if not each else "not known here") as raised:
            tokens.check(each)
        assert TOKEN not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "holds no token"),
        (b"# none\n\n", "holds no token"),
        (f"{TOKEN}\nshort\n".encode(), "line 2 of .* is no token: at least 16 printable ASCII characters"),
        (f"# ok\n{TOKEN} more\n".encode(), "line 2 of .* is no token"),
        (f"{TOKEN}\x00\n".encode(), "line 1 of .* is no token"),
        (f"{TOKEN}é\n".encode(), "line 1 of .* is no token"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_without_its_content(file: Path, content: bytes, words: str) -> None:
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=f"TOKENS_FILE: .*{words}") as raised:
        Tokens(file, "TOKENS_FILE")
    assert TOKEN not in str(raised.value)
    assert "short" not in str(raised.value).replace("shorten", "")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"TOKENS_FILE: .*absent can't be read: No such file"):
        Tokens(tmp_path / "absent", "TOKENS_FILE")


def test_a_change_that_cannot_be_used_revokes_nothing_and_is_told_once(file: Path) -> None:
    tokens = Tokens(file, "TOKENS_FILE", interval=0.0)
    file.write_text("short")
    with capture_logs() as logs:
        tokens.check(HEADER)
        tokens.check(HEADER)
    assert [each["event"] for each in logs] == ["receive: a file that has changed can't be used"]
    assert tokens.problem
    assert "stays in force" in tokens.problem
    file.write_text("another-good-token-of-ours")
    with pytest.raises(UnauthenticatedError):
        tokens.check(HEADER)
    assert tokens.problem is None


def test_a_file_is_looked_at_once_in_its_interval(file: Path) -> None:
    tokens = Tokens(file, "TOKENS_FILE", interval=3600.0)
    file.write_text("another-good-token-of-ours")
    tokens.check(HEADER)


def test_refusals_are_told_once_a_minute(file: Path) -> None:
    tokens = Tokens(file, "TOKENS_FILE")
    with capture_logs() as logs:
        for _ in range(3):
            with pytest.raises(UnauthenticatedError):
                tokens.check(b"Bearer of-bad-news-for-everybody")
    (told,) = logs
    assert told["event"] == "receive: refused for want of a token"
    assert "of-bad-news" not in str(told)
