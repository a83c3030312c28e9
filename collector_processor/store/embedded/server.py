"""Starting, sharing and stopping the embedded server."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

import psycopg

from collector_processor.errors import EmbeddedServerError
from collector_processor.store.embedded.account import Account, account_for, user_name
from collector_processor.store.embedded.addresses import free_port, make_socket_directory, remove_socket_directory
from collector_processor.store.embedded.binaries import binaries_for, last_lines, run
from collector_processor.store.embedded.cluster import (
    DATABASE,
    OWNER,
    SUPERUSER,
    configure,
    connection_url,
    last_setting,
    make_cluster,
    place_cluster,
    read_postmaster,
)
from collector_processor.store.embedded.locks import FileLock

# Long: a server that was killed under load first replays up to max_wal_size of its log.
_PATIENCE_SECONDS = 300
_ANSWER_SECONDS = 30
_CONNECT_SECONDS = 5
_POLL_SECONDS = 0.05
_PORT_ATTEMPTS = 5
_LOG_KEEP_BYTES = 10 * 2**20


class EmbeddedServer:
    """One user's hold on the server of a data directory. A context manager; not for threads at the same time.

    Users in any number of processes share the server: the first starts it, the last to leave stops it. A user
    that is killed has left; a server that nobody holds any more is found and shared by the next user. A process
    that forks without exec shares its hold with the child: use `spawn`.
    """

    def __init__(self, data_dir: Path, *, settings: Mapping[str, str] = MappingProxyType({})) -> None:
        """Nothing is touched before `start`.

        Args:
            data_dir: created if missing. What root can't make reachable for the server's account goes elsewhere
                and is linked from here.
            settings: PostgreSQL settings by name, over the defaults. They count if this call starts the server.
        """
        self._directory = data_dir.absolute()
        self._settings = settings
        self._users = FileLock(self._directory / "users.lock")
        self._cluster: Path | None = None
        self._port = 0

    @property
    def log_path(self) -> Path:
        """The server's log."""
        return self._directory / "server.log"

    @property
    def url(self) -> str:
        """The libpq URL of the database `benchmark` for its owner; EmbeddedServerError before `start`."""
        return self._url(OWNER, DATABASE)

    @property
    def superuser_url(self) -> str:
        """The libpq URL of the database `postgres` for the superuser, for maintenance."""
        return self._url(SUPERUSER, "postgres")

    def start(self) -> str:
        """Share the running server or start one; returns `url`. Called again it starts a server that was killed.

        Raises:
            EmbeddedServerError: what failed, with the last lines of the log.
        """
        with _described(self._directory):
            self._prepare_directory()
            with FileLock(self._directory / "transition.lock").held(timeout=_PATIENCE_SECONDS):
                self._users.acquire(shared=True, timeout=_PATIENCE_SECONDS)
                try:
                    self._find_or_launch()
                except BaseException:
                    self._leave()
                    raise
        return self.url

    def stop(self) -> None:
        """Leave. The last user shuts the server down: open transactions are rolled back, data is on disk."""
        if self._cluster is None:
            return
        transition = FileLock(self._directory / "transition.lock")
        with _described(self._directory), transition.held(timeout=_PATIENCE_SECONDS):
            self._leave()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _url(self, role: str, database: str) -> str:
        if self._cluster is None:
            raise EmbeddedServerError(f"the server of {self._directory} isn't started")
        return connection_url(self._cluster, self._port, role=role, database=database)

    def _prepare_directory(self) -> None:
        # Root's stand-in must pass through; the files in it are closed to it all the same.
        mode = 0o711 if os.geteuid() == 0 else 0o700
        self._directory.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._directory.mkdir(mode=mode)
        except FileExistsError:
            return
        self._directory.chmod(mode)  # whatever the umask took away

    def _find_or_launch(self) -> None:
        """Come back when a server answers. Called within a transition: only crashes happen meanwhile."""
        account = account_for(self._directory / "cluster")
        cluster = self._cluster = place_cluster(self._directory, account)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        refusal = "it didn't get ready"
        while True:
            server = FileLock(self._directory / "server.lock")
            if server.try_acquire():
                try:
                    self._launch(cluster, account, server)
                finally:
                    server.hand_over()
            else:
                server.hand_over()
                postmaster = read_postmaster(cluster)
                if postmaster is not None and postmaster.ready:
                    found = _refusal(cluster, postmaster.port)
                    if found is None:
                        self._port = postmaster.port
                        return
                    if found != refusal:
                        refusal, deadline = found, min(deadline, time.monotonic() + _ANSWER_SECONDS)
            if time.monotonic() > deadline:
                raise EmbeddedServerError(f"the server of {cluster}: {refusal}; {last_lines(self.log_path)}")
            time.sleep(_POLL_SECONDS)

    def _launch(self, cluster: Path, account: Account, server: FileLock) -> None:
        """Start a server, which inherits the lock `server`: nothing works on the cluster now."""
        programs = binaries_for(account)
        sync = self._settings.get("fsync", "on") != "off"
        make_cluster(cluster, account, programs, self.log_path, keeps=server, sync=sync)
        # PostgreSQL would trust the process number in it, which may belong to somebody else by now.
        (cluster / "postmaster.pid").unlink(missing_ok=True)
        if self.log_path.exists() and self.log_path.stat().st_size > _LOG_KEEP_BYTES:
            self.log_path.replace(self.log_path.with_suffix(".log.1"))
        start: list[str | Path] = [
            programs / "pg_ctl",
            "start",
            "-D",
            cluster,
            "-w",
            "-s",
            "-t",
            str(_PATIENCE_SECONDS),
        ]
        port = int(last_setting(cluster, "port") or 0)
        for attempt in range(_PORT_ATTEMPTS):
            port = free_port(port)
            remove_socket_directory(last_setting(cluster, "unix_socket_directories"), account)
            configure(cluster, account, self._settings, port=port, socket_directory=make_socket_directory(account))
            try:
                run(start, account, self.log_path, keeps=server)
            except EmbeddedServerError:
                # Between our choice and the server's start somebody else may have taken the port.
                if attempt + 1 == _PORT_ATTEMPTS or free_port(port) == port:
                    raise
            else:
                return

    def _leave(self) -> None:
        """Give up the hold; as the last one, stop the server. Called within a transition."""
        cluster, self._cluster = self._cluster, None
        self._users.release()
        if cluster is None or not self._users.try_acquire():
            self._users.hand_over()
            return
        try:
            self._shut_down(cluster)
        finally:
            self._users.release()

    def _shut_down(self, cluster: Path) -> None:
        account = account_for(cluster)
        stop: list[str | Path] = [binaries_for(account) / "pg_ctl", "stop", "-D", cluster, "-m", "fast", "-s"]
        deadline = time.monotonic() + _PATIENCE_SECONDS
        failure: EmbeddedServerError | None = None
        server = FileLock(self._directory / "server.lock")
        try:
            # An interrupted start may have left a server that has yet to write its number; one that was killed
            # may leave processes that have yet to notice. Only the lock tells when the last of them has ended.
            while not server.try_acquire():
                if time.monotonic() > deadline:
                    raise EmbeddedServerError(f"the server of {cluster} doesn't stop") from failure
                if (cluster / "postmaster.pid").exists():
                    try:
                        run([*stop, "-t", str(_PATIENCE_SECONDS)], account, self.log_path)
                    except EmbeddedServerError as error:
                        failure = error
                time.sleep(_POLL_SECONDS)
            remove_socket_directory(last_setting(cluster, "unix_socket_directories"), account)
        finally:
            server.release()


def locate(data_dir: Path) -> str | None:
    """The libpq URL of the running server of a data directory, for its owner; None where none answers.

    Starts nothing and holds nothing: the server stops when its users leave.
    """
    directory = data_dir.absolute()
    cluster = directory / "cluster"
    with _described(directory):
        postmaster = read_postmaster(cluster)
        if postmaster is None or not postmaster.ready or _refusal(cluster, postmaster.port) is not None:
            return None
        return connection_url(cluster, postmaster.port)


def _refusal(cluster: Path, port: int) -> str | None:
    """Why the server doesn't let the superuser in; None if it does, which no other server could (SCRAM is mutual)."""
    url = connection_url(cluster, port, role=SUPERUSER, database="postgres")
    try:
        psycopg.connect(url, connect_timeout=_CONNECT_SECONDS, require_auth="scram-sha-256").close()
    except psycopg.OperationalError as error:
        return str(error)
    return None


@contextmanager
def _described(directory: Path) -> Iterator[None]:
    """Say of an error of the operating system which server it was about."""
    try:
        yield
    except OSError as error:
        hint = ""
        if isinstance(error, PermissionError) and directory.exists():
            hint = f" (the folder belongs to {user_name(directory.stat().st_uid)})"
        raise EmbeddedServerError(f"the embedded database in {directory}: {error}{hint}") from error
