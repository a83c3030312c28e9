"""Keys of pseudonyms: given by a setting, else made once and kept beside the data.

Whoever loses them can neither find a person's records again nor tell that two of them are the same person's, so a
new key is on disk before the first pseudonym is made with it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from pathlib import Path
from typing import Final

from collector_processor.app.automata import Automata
from collector_processor.config import PREFIX, Settings
from collector_processor.config.values import KEYS
from collector_processor.errors import ConfigError
from collector_processor.guard import Protector
from collector_processor.guard.privacy import Detector, Keyring, Redactor, Text
from collector_processor.model.stages import PrivacyKeys

FILE_NAME: Final = "privacy.keys"
"""In DATA_DIR. A line for each key, the current one first; put a new line above to have new pseudonyms under it."""


def privacy_keys(settings: Settings) -> PrivacyKeys | None:
    """The keys in force; None where privacy is off.

    Raises:
        ConfigError: the file can't be made or read, is open to other users, or holds something else.
    """
    if settings.privacy == "off":
        return None
    if settings.privacy_keys is not None:
        return settings.privacy_keys
    path = settings.data_dir / FILE_NAME
    try:
        if not path.exists():
            _make(path)
        stat = path.stat()
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigError(f"{path} (keys of pseudonyms) can't be read or made: {reason}") from error
    if stat.st_uid != os.geteuid() or stat.st_mode & 0o077:
        raise ConfigError(f"{path} (keys of pseudonyms) must be yours alone: `chown {os.geteuid()}` and `chmod 600` it")
    try:
        return KEYS.read(content)
    except ValueError:
        raise ConfigError(f"{path}: its content (not shown) is not {KEYS.words}: see {PREFIX}PRIVACY_KEYS") from None


def keyring_of(keys: PrivacyKeys | None) -> Keyring | None:
    """The keys as the guard takes them. Raises ConfigError."""
    return None if keys is None else Keyring(dict(keys), current=keys[0][0])


def protector_of(tenant_key: bytes | None, keys: PrivacyKeys | None) -> Protector:
    """What redacts in this process, for one thread. Raises ConfigError."""
    return Protector(tenant_key, keyring_of(keys), detector)


def detector() -> Detector:
    """What finds personal data and credentials, for one thread; its patterns are compiled once a machine."""
    return Detector(kept=Automata())


def written_reason(settings: Settings, reason: str, *names: str) -> str:
    """A person's reason as it may be stored, for he may name somebody in it; `names` are told apart from other words.

    Raises ConfigError.
    """
    keyring = keyring_of(privacy_keys(settings)) if reason else None
    if keyring is None:
        return reason
    return Redactor(keyring, detector()).texts((Text("reason", reason),), None, names).values[0]


def _make(path: Path) -> None:
    """Write a first key, durable and whole; where two processes do so at once, both read the same afterwards."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"k1={secrets.token_hex(32)}\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(name, path)
    finally:
        Path(name).unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
