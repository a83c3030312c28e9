"""What a disk may hold after a power cut: the calls by which a process wrote below a folder, and images made of them.

The calls are recorded by strace. Then for any moment of the recording:

- what a file had at its last sync is there, and so is each write through an O_DSYNC descriptor that had returned;
- each later write is there, or not, or in some of its sectors of 512 bytes;
- a file that was made or removed since its folder's last sync is there or not.

Memory that is mapped isn't seen: LMDB writes its data by calls, and its lock file needs no durability.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

SECTOR: Final = 512
_CALLS: Final = "openat,mkdir,unlink,unlinkat,pwrite64,pwritev,pwritev2,write,writev,lseek,ftruncate,fdatasync,fsync"
_LINE: Final = re.compile(r"(\d+) +(.*)")
_UNFINISHED: Final = " <unfinished ...>"
_RESUMED: Final = re.compile(r"<\.\.\. \w+ resumed>")
_CALL: Final = re.compile(r"(\w+)\((.*)\) += (-?\d+)(.*)")
_DESCRIPTOR: Final = re.compile(r"(\d+)<((?:\\x[0-9a-f]{2})*)>")
_BYTES: Final = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


class Written(NamedTuple):
    """Bytes that a file got; `durable` when the call returned."""

    path: str
    offset: int
    data: bytes
    durable: bool


class Cut(NamedTuple):
    """A file got a size."""

    path: str
    size: int


class Synced(NamedTuple):
    """A file's content, or the list of a folder's files, is durable."""

    path: str


class Made(NamedTuple):
    """A file or folder came into being."""

    path: str
    folder: bool


class Removed(NamedTuple):
    """A file is gone."""

    path: str


class Said(NamedTuple):
    """What the process wrote to its standard output: its own marks in the recording."""

    text: str


Event = Written | Cut | Synced | Made | Removed | Said


def tracer() -> str | None:
    """Why calls can't be recorded here; None where they can."""
    strace = shutil.which("strace")
    if strace is None:
        return "strace is not installed"
    tried = subprocess.run([strace, "-e", "trace=none", "true"], capture_output=True, text=True, check=False)
    return None if tried.returncode == 0 else f"strace can't trace here: {tried.stderr.strip()}"


def record(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> list[Event]:
    """Run a command to its good end, and return what it did to files below a folder, in order."""
    trace = folder.with_name(folder.name + ".trace")
    strace = ["strace", "-f", "-y", "-xx", "-s", "100000000", "-e", f"trace={_CALLS}", "-o", str(trace)]
    try:
        ran = subprocess.run([*strace, *command], env=environment, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr[-2000:]
        with trace.open() as lines:
            return list(_Reader(str(folder)).read(lines))
    finally:
        trace.unlink(missing_ok=True)


class _Reader:
    """Makes events of strace's lines; one process with its threads wrote them."""

    def __init__(self, folder: str) -> None:
        self._below = re.compile("".join(f"\\\\x{byte:02x}" for byte in folder.encode()))
        self._offsets: dict[int, int] = {}
        self._durable: set[int] = set()
        """Descriptors that were opened with O_DSYNC."""
        self._existing = {folder}

    def read(self, lines: Iterable[str]) -> Iterator[Event]:
        """All events, each when its call had returned."""
        begun: dict[str, str] = {}
        for line in lines:
            found = _LINE.fullmatch(line.rstrip("\n"))
            assert found is not None, line[:200]
            thread, text = found.groups()
            if text.endswith(_UNFINISHED):
                begun[thread] = text.removesuffix(_UNFINISHED)
                continue
            if resumed := _RESUMED.match(text):
                text = begun.pop(thread) + text[resumed.end() :]
            if (call := _CALL.fullmatch(text)) and int(call[3]) >= 0:
                name, arguments, returned, more = call.groups()
                if name == "openat":
                    yield from self._opened(arguments, returned + more)
                elif name in {"mkdir", "unlink", "unlinkat"}:
                    yield from self._named(name, arguments)
                elif on := _DESCRIPTOR.match(arguments):
                    yield from self._on_file(name, on, arguments, int(returned))

    def _opened(self, arguments: str, returned: str) -> Iterator[Event]:
        opened = _DESCRIPTOR.match(returned)
        if opened is None or not self._below.match(opened[2]):
            return
        number, path = int(opened[1]), _plain(opened[2]).decode()
        self._offsets[number] = 0
        self._durable.discard(number)
        if "O_DSYNC" in arguments:
            self._durable.add(number)
        if "O_CREAT" in arguments and path not in self._existing:
            self._existing.add(path)
            yield Made(path, folder=False)

    def _named(self, name: str, arguments: str) -> Iterator[Event]:
        named = _BYTES.search(arguments)
        assert named is not None
        if not self._below.match(named[1]):
            return
        path = _plain(named[1]).decode()
        if name == "mkdir":
            self._existing.add(path)
            yield Made(path, folder=True)
        else:
            self._existing.discard(path)
            yield Removed(path)

    def _on_file(self, name: str, on: re.Match[str], arguments: str, returned: int) -> Iterator[Event]:
        number, path, ours = int(on[1]), _plain(on[2]).decode(), self._below.match(on[2])
        if name == "write" and number == 1:
            yield Said(_data(arguments, on).decode())
        elif not ours:
            return
        elif "write" in name:
            data = _data(arguments, on)
            assert len(data) == returned, f"strace showed {len(data)} of {returned} bytes"
            if name.startswith("p"):
                offset = int(arguments.rsplit(",", 1)[1])
            else:
                offset = self._offsets[number]
                self._offsets[number] = offset + returned
            yield Written(path, offset, data, durable=number in self._durable)
        elif name == "lseek":
            self._offsets[number] = returned
        elif name == "ftruncate":
            yield Cut(path, int(arguments.rsplit(",", 1)[1]))
        else:
            yield Synced(path)


def _data(arguments: str, on: re.Match[str]) -> bytes:
    return b"".join(_plain(each[1]) for each in _BYTES.finditer(arguments, on.end()))


def _plain(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


# -- Images ----------------------------------------------------------------------------------------


@dataclass
class _File:
    """What is durable of a file, and what was done to it since."""

    folder: bool
    content: bytearray = field(default_factory=bytearray)
    since: list[Written | Cut] = field(default_factory=list)


class Disk:
    """What a disk may hold below a folder, after those events of a recording that were played to it."""

    def __init__(self, folder: Path) -> None:
        self._root = str(folder)
        self._durable: dict[str, _File] = {}
        """Files whose names are durable."""
        self._now: dict[str, _File] = {}
        """Files as the running system sees them."""

    def play(self, event: Event) -> None:
        """Take in one event."""
        match event:
            case Made(path, folder):
                self._now[path] = _File(folder)
            case Removed(path):
                del self._now[path]
            case Cut(path, _):
                self._now[path].since.append(event)
            case Written(path, _, _, durable):
                if durable:
                    _apply(self._now[path].content, event)
                else:
                    self._now[path].since.append(event)
            case Synced(path):
                self._sync(path)
            case Said():
                pass

    def _sync(self, path: str) -> None:
        file = self._now.get(path)
        if file is not None and not file.folder:
            for change in file.since:
                _apply(file.content, change)
            file.since.clear()
        else:
            inside = {name for name in self._now.keys() | self._durable.keys() if os.path.dirname(name) == path}  # noqa: PTH120  # names alone
            for name in inside:
                if name in self._now:
                    self._durable[name] = self._now[name]
                else:
                    del self._durable[name]

    def build(self, target: Path, chance: random.Random) -> None:
        """Write below a new folder what the disk may hold if the power goes now."""
        whole, none = chance.choice([(0.0, 1.0), (1.0, 0.0), (0.5, 0.5), (0.3, 0.3), (0.1, 0.1)])
        target.mkdir(mode=0o700)
        for name in sorted(self._now.keys() | self._durable.keys()):
            certain = self._now.get(name) is self._durable.get(name)
            chosen = self._now if certain or chance.random() < 0.5 else self._durable
            file, path = chosen.get(name), target / os.path.relpath(name, self._root)
            if file is None or not path.parent.exists():
                continue
            if file.folder:
                path.mkdir(mode=0o700)
                continue
            content = bytearray(file.content)
            for change in file.since:
                fate = chance.random()
                if fate < whole:
                    _apply(content, change)
                elif fate < 1 - none and isinstance(change, Written):
                    _tear(content, change, chance)
            path.touch(mode=0o600)
            path.write_bytes(content)


def _apply(content: bytearray, change: Written | Cut) -> None:
    if isinstance(change, Cut):
        del content[change.size :]
        content.extend(bytes(change.size - len(content)))
        return
    end = change.offset + len(change.data)
    content.extend(bytes(max(0, end - len(content))))
    content[change.offset : end] = change.data


def _tear(content: bytearray, change: Written, chance: random.Random) -> None:
    """Some of its sectors reach the disk: any of them, or the first ones."""
    sectors = range(0, len(change.data), SECTOR)
    first = chance.randrange(len(sectors) + 1) if chance.random() < 0.5 else None
    for number, start in enumerate(sectors):
        if number < first if first is not None else chance.random() < 0.5:
            piece = change.data[start : start + SECTOR]
            _apply(content, Written(change.path, change.offset + start, piece, durable=True))
