"""A kill at any point leaves nothing that the next start can't mend."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import psycopg
import pytest
from support.embedded import Holder, server_processes
from support.postgres import THROWAWAY_SETTINGS, throwaway_hold

from collector_processor.errors import EmbeddedServerError
from collector_processor.store.embedded import EmbeddedServer, locate
from collector_processor.store.embedded.account import account_for


def postmaster(data_dir: Path) -> psutil.Process:
    return psutil.Process(int((data_dir / "cluster/postmaster.pid").read_text().split()[0]))


# What a start leaves on disk, one after the other.
MOMENTS = {
    "locked": lambda data_dir: (data_dir / "server.lock").exists(),
    "initdb": lambda data_dir: list(data_dir.glob("unfinished-*/PG_VERSION")),
    "initdb done": lambda data_dir: list(data_dir.glob("unfinished-*/pgpass")),
    "renamed": lambda data_dir: (data_dir / "cluster/PG_VERSION").exists(),
    "configured": lambda data_dir: "port" in (data_dir / "cluster/otel-benchmark.conf").read_text(),
    "server begun": lambda data_dir: (data_dir / "cluster/postmaster.pid").exists(),
}


def wait_for(moment: str, data_dir: Path, holder: Holder) -> None:
    """Watch the data directory of a starting holder until the moment has come."""
    while holder.process.poll() is None:
        with contextlib.suppress(FileNotFoundError):
            if MOMENTS[moment](data_dir):
                return
        time.sleep(0.002)
    pytest.fail(f"it ended before: {holder.leave()}")


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_start_that_is_killed_is_mended_by_the_next(data_dir: Path, hold, moment: str) -> None:
    holder = hold(data_dir)
    wait_for(moment, data_dir, holder)
    holder.kill()
    with throwaway_hold(data_dir) as server, psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("benchmark_owner",)
        assert list(data_dir.glob("unfinished-*")) == []
    assert locate(data_dir) is None


@pytest.mark.parametrize("moment", ["initdb", "configured", "server begun"])
def test_an_interrupted_start_leaves_nothing_running(data_dir: Path, hold, moment: str) -> None:
    holder = hold(data_dir)
    wait_for(moment, data_dir, holder)
    holder.process.send_signal(signal.SIGINT)
    holder.process.communicate()
    assert holder.process.returncode != 0
    assert server_processes(data_dir) == []
    with throwaway_hold(data_dir) as server:
        psycopg.connect(server.url).close()


def test_a_server_whose_holder_was_killed_is_found_again(used_data_dir: Path, hold) -> None:
    holder = hold(used_data_dir)
    url = holder.url()
    before = postmaster(used_data_dir)
    holder.kill()
    assert locate(used_data_dir) == url
    with throwaway_hold(used_data_dir) as server:
        assert server.url == url
        assert postmaster(used_data_dir) == before
    assert locate(used_data_dir) is None


def test_a_killed_server_is_started_again_and_keeps_what_was_committed(data_dir: Path) -> None:
    with EmbeddedServer(data_dir) as server:
        with psycopg.connect(server.url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        idle = psycopg.connect(server.url)
        postmaster(data_dir).kill()
        server.start()
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
        with pytest.raises(psycopg.OperationalError):
            idle.execute("SELECT 1")
        idle.close()


def test_the_number_of_a_dead_server_may_belong_to_somebody_else_now(used_data_dir: Path, hold) -> None:
    holder = hold(used_data_dir)
    holder.url()
    stale = (used_data_dir / "cluster/postmaster.pid").read_text()
    holder.leave()
    account = account_for(used_data_dir / "cluster")
    stranger = subprocess.Popen(["/bin/sleep", "600"], **account.process_options)
    try:
        number, rest = stale.split("\n", 1)
        assert number != str(stranger.pid)
        file = used_data_dir / "cluster/postmaster.pid"
        file.write_text(f"{stranger.pid}\n{rest}")
        assert locate(used_data_dir) is None
        with throwaway_hold(used_data_dir) as server:
            psycopg.connect(server.url).close()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_the_last_user_can_leave_a_server_that_has_died(used_data_dir: Path) -> None:
    server = throwaway_hold(used_data_dir)
    server.start()
    postmaster(used_data_dir).kill()
    server.stop()
    assert locate(used_data_dir) is None


def test_a_start_that_fails_says_what_the_server_said(data_dir: Path) -> None:
    broken = EmbeddedServer(data_dir, settings={**THROWAWAY_SETTINGS, "shared_buffers": "it's plenty"})
    with pytest.raises(EmbeddedServerError, match="pg_ctl failed") as failure:
        broken.start()
    assert 'invalid value for parameter "shared_buffers": "it\'s plenty"' in str(failure.value)
    assert str(broken.log_path) in str(failure.value)
    with throwaway_hold(data_dir) as server:
        psycopg.connect(server.url).close()


def test_something_else_in_the_place_of_the_cluster_is_left_alone(data_dir: Path) -> None:
    precious = data_dir / "cluster" / "precious"
    precious.mkdir(parents=True)
    os.chown(precious.parent, 65534 if os.geteuid() == 0 else -1, -1)
    with pytest.raises(EmbeddedServerError, match="holds no cluster"):
        throwaway_hold(data_dir).start()
    assert precious.is_dir()
