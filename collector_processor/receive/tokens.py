"""Bearer tokens: who may send, by a file with a token a line.

Several are good at once, so that a new one can be handed out before the old one goes. Kept are their SHA-256
digests, which are of one length: comparing takes the same time whatever was sent, and no memory dump, log or error
can show a token.
"""

from __future__ import annotations

import hmac
import time
from hashlib import sha256
from pathlib import Path
from typing import Final

from collector_processor.errors import ConfigError, UnauthenticatedError
from collector_processor.receive.watched import INTERVAL, Watched
from collector_processor.telemetry import get_logger

log = get_logger(__name__)

MIN_BYTES: Final = 16
_MAX_FILE_BYTES: Final = 1024 * 1024
_TELL_SECONDS: Final = 60.0
_SCHEME: Final = b"bearer "
_HOW: Final = "send the header `authorization: Bearer TOKEN` (OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20TOKEN)"


class Tokens:
    """The tokens of one file; blank lines and lines that begin with # are none. `setting` names it in errors.

    Raises:
        ConfigError: the file can't be read, or holds no token, or one that is too short; the message shows none.
    """

    def __init__(self, path: Path, setting: str, *, interval: float = INTERVAL) -> None:
        self._digests = Watched(setting, (path,), lambda: _read(path, setting), interval=interval)
        self._refused = 0
        self._tell_after = 0.0

    @property
    def problem(self) -> str | None:
        """Why the file as it is now can't be used; the tokens before it are good meanwhile."""
        self._digests.current()
        return self._digests.problem

    def check(self, authorization: bytes) -> None:
        """Compare an authorization header, empty where there was none.

        Raises:
            UnauthenticatedError: it names no token of the file.
        """
        given = sha256(authorization[len(_SCHEME) :].strip()).digest()
        known = [hmac.compare_digest(given, digest) for digest in self._digests.current()]
        if authorization[: len(_SCHEME)].lower() == _SCHEME and any(known):
            return
        why = "The token is not known here" if authorization else "A token is needed"
        self._tell(why)
        raise UnauthenticatedError(f"{why}: {_HOW}")

    def _tell(self, why: str) -> None:
        """Exporters show little of a refusal, so whoever looks for his traces finds it here, once a minute."""
        self._refused += 1
        if (now := time.monotonic()) >= self._tell_after:
            log.warning("receive: refused for want of a token", requests=self._refused, why=why)
            self._refused, self._tell_after = 0, now + _TELL_SECONDS


def _read(path: Path, setting: str) -> tuple[bytes, ...]:
    try:
        with path.open("rb") as file:
            lines = file.read(_MAX_FILE_BYTES).splitlines()
    except OSError as error:
        raise ConfigError(f"{setting}: {path} can't be read: {error.strerror}") from error
    digests: dict[bytes, None] = {}
    for number, line in enumerate(map(bytes.strip, lines), 1):
        if not line or line.startswith(b"#"):
            continue
        if len(line) < MIN_BYTES or not (line.isascii() and line.decode().isprintable()) or b" " in line:
            raise ConfigError(
                f"{setting}: line {number} of {path} is no token: at least {MIN_BYTES} printable ASCII characters "
                "without spaces, such as `openssl rand -hex 32` makes"
            )
        digests[sha256(line).digest()] = None
    if not digests:
        raise ConfigError(f"{setting}: {path} holds no token: write one a line, or nobody could send")
    return tuple(digests)
