"""Whom the server runs as, and what that account can reach.

PostgreSQL refuses to run as root. Started by root, the server runs as an existing unprivileged account, which
often can't reach what root can: a data directory under /root, or a wheel that was installed there. No
permission of a folder that isn't ours is changed for it; instead the cluster or a copy of the binaries goes
to the shelter, a folder of ours in the system's place for state (/var/lib on Linux).
"""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from collector_processor.errors import EmbeddedServerError

_CANDIDATES = ("postgres", "_postgres", "nobody", "daemon")
_SHELTER = "otel-benchmark-postgresql"
# Nothing of the caller's environment (PGDATA, PGOPTIONS, LD_PRELOAD, a locale) changes what the server does.
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"}


@dataclass(frozen=True)
class Account:
    """The operating system's account that owns the cluster and runs its processes."""

    uid: int
    gid: int
    other: bool
    """Whether it is another one than that of this process, which is root then."""

    @property
    def name(self) -> str:
        """The account's name, or its number where the system knows no name."""
        return user_name(self.uid)

    @property
    def process_options(self) -> dict[str, Any]:
        """What `subprocess.Popen` needs so that a child runs as this account, apart from our terminal."""
        options: dict[str, Any] = {"cwd": "/", "env": ENVIRONMENT, "start_new_session": True, "umask": 0o077}
        if self.other:
            options |= {"user": self.uid, "group": self.gid, "extra_groups": []}
        return options

    def succeeds(self, command: Sequence[str]) -> bool:
        """Whether a command, run as this account, exits with 0. Asks the kernel instead of reading mode bits."""
        try:
            done = subprocess.run(  # noqa: S603 - fixed commands, no shell
                command,
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                **self.process_options,
            )
        except OSError:
            return False
        return done.returncode == 0

    def reaches(self, directory: Path) -> bool:
        """Whether this account may enter `directory`."""
        return self.succeeds(["/bin/sh", "-c", 'test -x "$1"', "sh", str(directory)])

    def give(self, path: Path | int) -> None:
        """Make this account the owner of a path or an open file of ours."""
        if self.other:
            os.chown(path, self.uid, self.gid)


def account_for(cluster: Path) -> Account:
    """The account that runs the server of `cluster`: its owner; for a new one ourselves, or root's stand-in.

    Raises:
        EmbeddedServerError: the cluster belongs to somebody we can't act as, or root finds no account.
    """
    # A start that was killed early leaves a link behind whose cluster isn't there yet.
    place = cluster.resolve().parent if cluster.is_symlink() and not cluster.exists() else cluster
    owner = place.stat() if place.exists() else None
    own = os.geteuid()
    if own != 0:
        if owner is not None and owner.st_uid != own:
            raise EmbeddedServerError(
                f"{cluster} belongs to {user_name(owner.st_uid)}: run as that user, or choose another DATA_DIR"
            )
        return Account(own, os.getegid(), other=False)
    if owner is not None and owner.st_uid == 0:
        raise EmbeddedServerError(
            f"{cluster} belongs to root, as whom PostgreSQL doesn't run: chown -R it to an ordinary account"
        )
    account = _stand_in() if owner is None else Account(owner.st_uid, owner.st_gid, other=True)
    if not account.succeeds(["/bin/sh", "-c", ":"]):
        raise EmbeddedServerError(
            f"root may not act as {account.name} here (CAP_SETUID is missing): run as an ordinary user, "
            "or set DATABASE_URL to a server of your own"
        )
    return account


def _stand_in() -> Account:
    for name in _CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(entry.pw_uid, entry.pw_gid, other=True)
    raise EmbeddedServerError(
        f"PostgreSQL doesn't run as root, and none of the accounts {', '.join(_CANDIDATES)} exists here: "
        "run as an ordinary user, or set DATABASE_URL to a server of your own"
    )


def shelter(account: Account) -> Path:
    """The folder for what `account` can't reach elsewhere; created if needed, only root writes to it."""
    place = platformdirs.site_state_path(_SHELTER)
    try:
        place.mkdir(parents=True, exist_ok=True)
        place.chmod(0o711)
    except OSError as error:
        raise EmbeddedServerError(
            f"no place that {account.name} can reach: {error}; choose another DATA_DIR"
        ) from error
    if not account.reaches(place):
        raise EmbeddedServerError(f"{account.name} can't reach {place}: choose a DATA_DIR that it can reach")
    return place


def user_name(uid: int) -> str:
    """The name of an account, or its number where the system knows no name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
