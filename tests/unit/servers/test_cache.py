"""What a recipe makes is in the cache once, whole or not at all."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import pytest
from servers.cache import Cache, Say, UnavailableError, stamp, user_cache


@dataclass
class Cake:
    """Writes a file, counting how often it is asked to."""

    version: str = "1.0"
    ingredients: Mapping[str, str] = field(default_factory=dict)
    bake: Callable[[Path], None] = lambda folder: None
    name: str = "cake"
    subject: str = "a cake"
    made: int = 0

    def make(self, folder: Path, say: Say) -> Mapping[str, str]:
        self.made += 1
        say("baking")
        (folder / "cake").write_text(f"{self.version} {self.made}")
        self.bake(folder)
        return {"oven": "2.3"}


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def quiet(_: str) -> None:
    pass


def fail(_: Path) -> None:
    raise UnavailableError("the oven is missing: apt-get install oven")


def test_it_is_made_once(cache: Cache) -> None:
    cake, said = Cake(), list[str]()
    folder = cache.provide(cake, said.append)
    assert folder == cache.provide(cake, said.append) == cache.find(cake)
    assert (folder / "cake").read_text() == "1.0 1"
    assert (cake.made, said) == (1, ["baking"])
    assert stamp(folder) == {"name": "cake", "version": "1.0", "ingredients": {}, "found": {"oven": "2.3"}}


def test_what_is_not_there_is_not_found_and_how_to_get_it_is_said(cache: Cache) -> None:
    with pytest.raises(UnavailableError, match=r"^cake 1\.0 isn't on this machine yet: make servers$"):
        cache.find(Cake())
    assert not cache.root.exists()


def test_each_version_has_a_folder_of_its_own(cache: Cache) -> None:
    old, new = Cake(), Cake(version="2.0")
    assert cache.provide(old, quiet) != cache.provide(new, quiet)
    cache.provide(old, quiet)
    assert (old.made, new.made) == (1, 1)


def test_it_is_made_anew_from_other_ingredients(cache: Cache) -> None:
    cache.provide(Cake(ingredients={"eggs": "2"}), quiet)
    other = Cake(ingredients={"eggs": "3"}, made=6)
    with pytest.raises(UnavailableError, match="was made from something else: make servers"):
        cache.find(other)
    assert (cache.provide(other, quiet) / "cake").read_text() == "1.0 7"
    assert cache.find(other) == cache.root / "cake-1.0"


def test_one_that_fails_leaves_nothing(cache: Cache) -> None:
    with pytest.raises(UnavailableError, match="the oven is missing"):
        cache.provide(Cake(bake=fail), quiet)
    assert [path.name for path in cache.root.iterdir()] == ["cake-1.0.lock"]
    assert cache.provide(Cake(), quiet).is_dir()


def test_one_that_fails_leaves_the_former_one(cache: Cache) -> None:
    former = Cake(ingredients={"eggs": "2"})
    cache.provide(former, quiet)
    with pytest.raises(UnavailableError):
        cache.provide(Cake(bake=fail), quiet)
    assert cache.find(former)


def test_two_at_once_make_it_once(cache: Cache) -> None:
    baking, waiting, said = Event(), Event(), list[str]()

    def bake(_: Path) -> None:
        baking.set()
        assert waiting.wait(30)

    def say(line: str) -> None:
        said.append(line)
        waiting.set()

    first, second = Cake(bake=bake), Cake()
    with ThreadPoolExecutor() as threads:
        one = threads.submit(cache.provide, first, quiet)
        assert baking.wait(30)
        other = threads.submit(cache.provide, second, say)
        assert one.result() == other.result()
    assert (first.made, second.made) == (1, 0)
    assert said == ["waiting for another process that is making cake"]


KILLED = """
import sys
from pathlib import Path
from servers.cache import Cache
from unit.servers.test_cache import Cake

def bake(folder):
    print(folder, flush=True)
    sys.stdin.read()

Cache(Path(sys.argv[1])).provide(Cake(bake=bake), lambda line: None)
"""


def test_one_that_is_killed_leaves_nothing_half_made(cache: Cache) -> None:
    tests = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(cache.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(tests)},
    ) as process:
        assert process.stdout is not None
        unfinished = Path(process.stdout.readline().strip())
        assert (unfinished / "cake").exists()
        process.send_signal(signal.SIGKILL)
    with pytest.raises(UnavailableError):
        cache.find(Cake())
    folder = cache.provide(Cake(), quiet)
    assert sorted(cache.root.iterdir()) == [folder, folder.with_name("cake-1.0.lock")]


def test_the_cache_lies_where_caches_of_the_user_lie(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert user_cache().root == tmp_path / "otel-benchmark"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", "/home/mender")
    assert user_cache().root == Path("/home/mender/.cache/otel-benchmark")
