"""A database cluster on disk: where it lies, how it is made whole or not at all, its settings and passwords.

Two roles can log in. `postgres` is the superuser, for maintenance (extensions, test databases). The database
`benchmark` belongs to `benchmark_owner`, who is no superuser and may create roles, since the migrations create
the writer and the reader: what works here works on a managed server too.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from collector_processor.errors import EmbeddedServerError
from collector_processor.store.embedded.account import Account, shelter
from collector_processor.store.embedded.binaries import run
from collector_processor.store.embedded.locks import FileLock

DATABASE = "benchmark"
OWNER = "benchmark_owner"
SUPERUSER = "postgres"

_CONFIGURATION = "otel-benchmark.conf"
_PASSWORDS = "pgpass"
_ACCESS = """\
# Passwords everywhere, on the socket too; `all` doesn't include replication.
local all all              scram-sha-256
host  all all 127.0.0.1/32 scram-sha-256
"""
# For a writer of large batches on a machine that does other work too.
_SETTINGS = {
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "wal_compression": "pglz",
    "synchronous_commit": "on",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] %u@%d ",
    # What people's agents wrote doesn't get into a log by way of a failed statement.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}


def place_cluster(data_directory: Path, account: Account) -> Path:
    """Where the cluster of a data directory lies, or shall: in it, or behind a link where that is out of reach."""
    link = data_directory / "cluster"
    if not link.exists() and not link.is_symlink() and account.other and not account.reaches(data_directory):
        place = Path(tempfile.mkdtemp(prefix=f"{data_directory.name}-", dir=shelter(account)))
        account.give(place)
        link.symlink_to(place / "cluster")
    cluster = link.resolve()
    if not cluster.parent.is_dir():
        raise EmbeddedServerError(
            f"{link} points to {cluster}, which is gone: bring it back, or remove the link to begin anew"
        )
    return cluster


def make_cluster(cluster: Path, account: Account, programs: Path, log: Path, *, keeps: FileLock, sync: bool) -> None:
    """Make the cluster with its roles, passwords and the database `benchmark`; nothing if it is there already.

    All of it is made in a folder beside and renamed, so a kill leaves no half of it behind. The caller knows
    that no other process works on the cluster. `keeps` is held by the programs until they end; without `sync`
    the files are not forced to the disk.
    """
    for unfinished in cluster.parent.glob("unfinished-*"):
        shutil.rmtree(unfinished)
    if (cluster / "PG_VERSION").exists():
        return
    unfinished = Path(tempfile.mkdtemp(prefix="unfinished-", dir=cluster.parent))
    account.give(unfinished)
    options = ["--encoding=UTF8", "--locale=C", "--auth=reject", "--no-instructions", f"--username={SUPERUSER}"]
    if not sync:
        options.append("--no-sync")
    run([programs / "initdb", "-D", unfinished, *options], account, log, keeps=keeps)
    passwords = {SUPERUSER: secrets.token_urlsafe(32), OWNER: secrets.token_urlsafe(32)}
    entries = "".join(f"*:*:*:{role}:{password}\n" for role, password in passwords.items())
    _write(unfinished / _PASSWORDS, entries, account)
    _write(unfinished / "pg_hba.conf", _ACCESS, account)
    _write(unfinished / _CONFIGURATION, "", account)
    settings = (unfinished / "postgresql.conf").read_text()
    _write(unfinished / "postgresql.conf", f"{settings}\ninclude '{_CONFIGURATION}'\n", account)
    # A single-user server takes a statement a line and opens no port: nobody can log in before this is done.
    statements = (
        f"ALTER ROLE {SUPERUSER} PASSWORD '{passwords[SUPERUSER]}'",
        f"CREATE ROLE {OWNER} LOGIN CREATEROLE PASSWORD '{passwords[OWNER]}'",
        f"CREATE DATABASE {DATABASE} OWNER {OWNER}",
    )
    strict = ["-c", "exit_on_error=on", "-c", "log_min_error_statement=panic", "-c", "log_checkpoints=off"]
    single: list[str | Path] = [programs / "postgres", "--single", "-D", unfinished, *strict, "template1"]
    run(single, account, log, keeps=keeps, feed="\n".join(statements) + "\n")
    try:
        unfinished.rename(cluster)
    except OSError as error:
        raise EmbeddedServerError(f"{cluster} is in the way and holds no cluster: {error}") from error
    _sync_directory(cluster.parent)


def configure(
    cluster: Path, account: Account, settings: Mapping[str, str], *, port: int, socket_directory: Path
) -> None:
    """Write the settings for the next start: ours, then the caller's, then where the server listens."""
    merged = {
        **_SETTINGS,
        **settings,
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": str(socket_directory),
        "unix_socket_permissions": "0700",
    }
    lines = ["# Written at each start. Changes of your own: ALTER SYSTEM, which wins."]
    for name, value in merged.items():
        quoted = value.replace("\\", "\\\\").replace("'", "''")
        lines.append(f"{name} = '{quoted}'")
    _write(cluster / _CONFIGURATION, "\n".join(lines) + "\n", account)


def last_setting(cluster: Path, name: str) -> str | None:
    """What `configure` wrote for a setting (one without quotes in its value) at the last start, if there was one."""
    try:
        text = (cluster / _CONFIGURATION).read_text()
    except FileNotFoundError:
        return None
    found = re.search(rf"^{name} = '(.*)'$", text, re.MULTILINE)
    return found.group(1) if found else None


@dataclass(frozen=True)
class Postmaster:
    """What a server says of itself in `postmaster.pid`; it may be one that died."""

    port: int
    ready: bool


def read_postmaster(cluster: Path) -> Postmaster | None:
    """The server that runs on `cluster`, or ran until it was killed; None if there was none or it has ended."""
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return None
    # pid, data directory, start time, port, socket directory, address, shared memory, status: written by and by.
    if len(lines) < 8:
        return None
    return Postmaster(port=int(lines[3]), ready=lines[7].strip() == "ready")


def connection_url(cluster: Path, port: int, *, role: str = OWNER, database: str = DATABASE) -> str:
    """The libpq URL of a role, password included."""
    for line in (cluster / _PASSWORDS).read_text().splitlines():
        *_, name, password = line.split(":")
        if name == role:
            return f"postgresql://{role}:{password}@127.0.0.1:{port}/{database}"
    raise EmbeddedServerError(f"{cluster / _PASSWORDS} holds no password of {role}")


def _write(path: Path, text: str, account: Account) -> None:
    """Replace a file by one with mode 0600 that belongs to `account`, whatever stood at its name before."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        account.give(descriptor)
        stream.write(text)
        stream.flush()
        os.fsync(descriptor)
    new.replace(path)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
