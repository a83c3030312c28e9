"""Encodings that hide a text in a text: escapes, percent signs, entities, look-alike characters, base64.

Each has a trigger, an expression that the engine looks for together with all others, so that a text without encodings
costs nothing.
"""

from __future__ import annotations

import binascii
import html
import re
import unicodedata
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from collector_processor.guard.privacy.pieces import Decode, Part, Piece, substituted
from collector_processor.guard.privacy.vocabulary import words


class Decoder(NamedTuple):
    """One encoding: `open` gives what a piece holds in it, where it holds something."""

    name: str
    trigger: bytes
    open: Callable[[Piece], Iterator[Piece]]


def _in_place(encoded: re.Pattern[str], decode: Decode) -> Callable[[Piece], Iterator[Piece]]:
    def opened(piece: Piece) -> Iterator[Piece]:
        places = [(match.span(), decode(match[0])) for match in encoded.finditer(piece.text)]
        changed = [(span, decoded) for span, decoded in places if decoded is not None]
        if changed:
            text, parts = substituted(piece.text, changed)
            yield Piece(text, piece.key, piece.root, piece, parts)

    return opened


# -- Escapes ---------------------------------------------------------------------------------------

_SIMPLE: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


def unescaped(sequence: str) -> str | None:
    """Return what escape sequences of one kind, as JSON, JavaScript and Python write them, stand for."""
    if sequence[1] == "u":
        units = bytes.fromhex(sequence.replace("\\u", ""))
        return units.decode("utf-16-be", "replace").replace("\0", "")
    if sequence[1] == "x":
        return bytes.fromhex(sequence.replace("\\x", "")).decode("utf-8", "replace").replace("\0", "")
    return _SIMPLE.get(sequence[1], sequence[1])


def _percent_decoded(sequence: str) -> str | None:
    return unquote_to_bytes(sequence).decode("utf-8", "replace").replace("\0", "")


def _entity(sequence: str) -> str | None:
    decoded = html.unescape(sequence).replace("\0", "")
    return decoded if decoded != sequence else None


# -- Look-alikes -----------------------------------------------------------------------------------

_LOOK_ALIKE: Final = re.compile(r"[^\t\n\r -~]")
_INVISIBLE: Final = words("Cf Cc Mn")
_FOLDED: dict[str, str | None] = {}
_MOST_FOLDED: Final = 1 << 16


def _folded(character: str) -> str | None:
    """Return the plain form of a character: NFKC, digits of all scripts as ASCII, nothing for the invisible."""
    if character in _FOLDED:
        return _FOLDED[character]
    kind = unicodedata.category(character)
    plain: str | None
    if kind in _INVISIBLE:
        # Combining marks stay, but for those that no eye sees.
        plain = "" if kind != "Mn" or "VARIATION" in unicodedata.name(character, "") or character == "\u034f" else None
    elif kind == "Nd":
        plain = str(unicodedata.decimal(character))
    elif kind == "Pd" or character == "\u2212":
        plain = "-"
    else:
        normal = unicodedata.normalize("NFKC", character)
        plain = normal if normal != character and normal.isascii() else None
    if len(_FOLDED) < _MOST_FOLDED:
        _FOLDED[character] = plain
    return plain


_unfold: Final = _in_place(_LOOK_ALIKE, _folded)


def unfolded(piece: Piece) -> Iterator[Piece]:
    """Give the piece without look-alikes and invisible characters, where it holds any."""
    if not piece.text.isascii() or _LOOK_ALIKE.search(piece.text):
        yield from _unfold(piece)


# -- Base64 ----------------------------------------------------------------------------------------

_GROUP: Final = "[A-Za-f][A-HQ-Xg-nw-z0-3][ABEFIJMNQRUVYZcdghklopstwx014589][A-Za-z0-9+/_-]"
"""Four digits of base64 that stand for three characters of ASCII: the highest bits of all three are zero."""
_RUN: Final = re.compile(r"[A-Za-z0-9+/_-]+")
_TEXT: Final = re.compile(f"(?:{_GROUP}){{3}}")
_STANDARD: Final = str.maketrans("+/", "-_")
_READABLE: Final = 0.8
"""Share of the characters that must be printable, for what was decoded to be a text."""


def _unpacked(piece: Piece) -> Iterator[Piece]:
    text, done = piece.text, 0
    while (found := _TEXT.search(text, done)) is not None:
        run_start = found.start()
        while run_start > done and _RUN.fullmatch(text[run_start - 1]):
            run_start -= 1
        begin = found.start() - (found.start() - run_start) // 4 * 4
        run = _RUN.match(text, begin)
        assert run is not None
        done = run.end()
        decoded = _readable(run[0])
        if decoded is not None:
            stop = done + len(text[done : done + 2]) - len(text[done : done + 2].lstrip("="))
            yield Piece(decoded, "", piece.root, piece, [Part(0, begin, stop - begin, whole=True)], opaque=True)


def _readable(run: str) -> str | None:
    digits = run[: len(run) - 1] if len(run) % 4 == 1 else run
    try:
        packed = urlsafe_b64decode(digits.translate(_STANDARD) + "=" * (-len(digits) % 4))
    except (binascii.Error, ValueError):
        return None
    text = packed.decode("utf-8", "replace").replace("\0", " ")
    readable = sum(character.isprintable() or character in "\n\r\t" for character in text) - text.count("\ufffd")
    return text if readable >= _READABLE * len(text) else None


DECODERS: Final = (
    Decoder(
        "escapes",
        rb"""\\(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|["'\\/bfnrt])""",
        _in_place(re.compile(r"""(?:\\u[0-9A-Fa-f]{4})+|(?:\\x[0-9A-Fa-f]{2})+|\\["'\\/bfnrt]"""), unescaped),
    ),
    Decoder("percent", rb"%[0-9A-Fa-f]{2}", _in_place(re.compile(r"(?:%[0-9A-Fa-f]{2})+"), _percent_decoded)),
    Decoder(
        "entities", rb"&#[0-9xX]|&(?:commat|period|amp);", _in_place(re.compile(r"&(?:#\w{1,8}|[a-z]{2,8});"), _entity)
    ),
    Decoder("look-alikes", rb"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\xff]", unfolded),
    Decoder("base64", f"(?:{_GROUP}){{3}}".encode(), _unpacked),
)
