"""`make servers`: put the real servers that tests talk to into the cache, those that are named or all.

Usage: PYTHONPATH=tests python -m servers [NAME ...]
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from servers.cache import Cache, Recipe, UnavailableError, user_cache
from servers.recipes import RECIPES


def main(arguments: list[str]) -> int:
    """Make what is missing, one after the other; 1 when one can't be had here."""
    parser = argparse.ArgumentParser(prog="make servers", description="Make what tests need into the cache, once.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(RECIPES)}; default: all")
    names = parser.parse_args(arguments).names or list(RECIPES)
    if unknown := set(names) - set(RECIPES):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(RECIPES)}")
    cache = user_cache()
    print(f"servers for tests, in {cache.root}", flush=True)
    missing = [name for name in names if not _provide(cache, RECIPES[name])]
    if missing:
        print(f"missing: {', '.join(missing)}; the tests that need them are skipped, and fail in CI")
    return 1 if missing else 0


def _provide(cache: Cache, recipe: Recipe) -> bool:
    """Make one, saying what happens; whether it is there now."""
    begin = time.monotonic()
    said = False

    def say(line: str) -> None:
        nonlocal said
        said = True
        print(f"  {line}", flush=True)

    try:
        print(f"{recipe.name} {recipe.version}: {recipe.subject}", flush=True)
        folder = cache.provide(recipe, say)
    except UnavailableError as error:
        say(f"not here: {error}")
        return False
    seconds = f"after {time.monotonic() - begin:.0f} s" if said else "already"
    print(f"  there {seconds}, {_megabytes(folder):.0f} MB", flush=True)
    return True


def _megabytes(folder: Path) -> float:
    return sum(path.lstat().st_size for path in folder.rglob("*")) / 1e6


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
