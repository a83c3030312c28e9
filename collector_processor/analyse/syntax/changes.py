"""What a task says of its change → the files that it touched, each whole before and after, or as hunks of a patch.

Contents come as one text, or as JSON of path → text. Whole contents win over a patch; the patch still names the files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from unidiff.errors import UnidiffParseError
from unidiff.patch import PatchedFile, PatchSet

from otel_benchmark import attributes as a

_FILE: Final = re.compile(r"^(?=diff --git )", re.MULTILINE)
_BARE_FILE: Final = re.compile(r"^(?=--- \S.*\n\+\+\+ \S)", re.MULTILINE)


class Fragment(NamedTuple):
    """A part of a file, whole or a hunk, before and after; the lines in the file that its sides begin with."""

    before: str
    after: str
    line_before: int = 1
    line_after: int = 1


class FileChange(NamedTuple):
    """One file.

    Attributes:
        path: None where only contents are known.
        whole: whether its one fragment is all of it.
        added, removed: lines, as the patch tells; None where there are only contents.
        is_new: there was no such file before.
    """

    path: str | None
    fragments: Sequence[Fragment]
    whole: bool
    added: int | None = None
    removed: int | None = None
    is_new: bool = False


class Change(NamedTuple):
    """All files of a change; `gaps` tells what of it could not be read."""

    files: Sequence[FileChange]
    gaps: tuple[str, ...] = ()


def change_of(attributes: Mapping[str, Any]) -> Change | None:
    """Return the change that a span tells of, None where it tells of none."""
    told = map(attributes.get, (a.DIFF_PATCH, a.DIFF_BEFORE, a.DIFF_AFTER))
    patch, before, after = (text if isinstance(text, str) else "" for text in told)
    if not (patch.strip() or before or after):
        return None
    patched, gaps = _files(patch)
    if before or after:
        paths = [file.path for file in patched]
        files = _contents(before, after, paths[0] if len(paths) == 1 else None)
        return Change([file for file in files if file.fragments[0].before != file.fragments[0].after])
    return Change([_patched(file) for file in patched if not file.is_binary_file], gaps)


def _contents(before: str, after: str, only_path: str | None) -> Iterable[FileChange]:
    old, new = _by_path(before), _by_path(after)
    if old is None or new is None:
        return [FileChange(only_path, [Fragment(before, after)], whole=True, is_new=not before)]
    return [
        FileChange(path, [Fragment(old.get(path, ""), new.get(path, ""))], whole=True, is_new=path not in old)
        for path in sorted({**old, **new})
    ]


def _by_path(text: str) -> dict[str, str] | None:
    """Return contents by path; None where the text is a content itself."""
    if not text.strip():
        return {}
    try:
        return msgspec.json.decode(text, type=dict[str, str])
    except (msgspec.DecodeError, RecursionError):
        return None


def _files(patch: str) -> tuple[Sequence[PatchedFile], tuple[str, ...]]:
    """Return a patch's files; those that can't be read, the last one of a patch that was cut, harm no other."""
    if not patch.strip():
        return (), ()
    try:
        return PatchSet.from_string(patch), ()
    except UnidiffParseError:
        pass
    files: list[PatchedFile] = []
    broken = 0
    for section in (_FILE if _FILE.search(patch) else _BARE_FILE).split(patch):
        try:
            files += PatchSet.from_string(section)
        except UnidiffParseError:
            broken += 1
    return files, (f"{broken} files of the patch can't be read",) if broken else ()


def _patched(file: PatchedFile) -> FileChange:
    fragments = [
        Fragment(
            "".join(line.value for line in hunk if not line.is_added),
            "".join(line.value for line in hunk if not line.is_removed),
            hunk.source_start or 1,
            hunk.target_start or 1,
        )
        for hunk in file
    ]
    whole = file.is_added_file or file.is_removed_file
    return FileChange(file.path, fragments, whole, file.added, file.removed, file.is_added_file)
