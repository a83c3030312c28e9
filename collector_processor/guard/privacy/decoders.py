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

from collector_processor.guard.privacy.pieces import Part, Piece, substituted
from collector_processor.guard.privacy.vocabulary import words


class Decoder(NamedTuple):
    """One encoding: `open` gives what a piece holds in it, where it holds something."""

    name: str
    trigger: bytes
    open: Callable[[Piece], Iterator[Piece]]


# -- In place --------------------------------------------------------------------------------------

_SIMPLE: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_PLAIN: Final = (
    "\t\n\r -~\u00c0-\u0131\u0134-\u013e\u0141-\u0148\u014a-\u017e\u0386-\u03ce\u0400-\u045f"
    "\u05d0-\u05ea\u0621-\u063a\u0641-\u064a\u3001-\u3003\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff\uac00-\ud7a3"
)
"""ASCII and the letters that texts are written in, none of which is another's look-alike: not worth a closer look."""
_ENCODED: Final = re.compile(
    r"""(?:\\+u[0-9A-Fa-f]{4})+|(?:\\+x[0-9A-Fa-f]{2})+|\\+["'/bfnrt]"""
    r"""|(?:%(?:25)*[0-9A-Fa-f]{2})+|&(?:amp;)*(?:#\w{1,8}|[a-z]{2,8});"""
    rf"|[^{_PLAIN}]"
)
"""An escape however often its backslash was escaped itself, percent signs likewise, an entity, or a look-alike."""


def _decoded(encoded: str) -> str | None:
    """Return what an encoded place says; None where it says what it is."""
    match encoded[0]:
        case "\\":
            return unescaped("\\" + encoded.lstrip("\\"))
        case "%":
            plain = re.sub("%(?:25)+(?=[0-9A-Fa-f]{2})", "%", encoded)
            return unquote_to_bytes(plain).decode("utf-8", "replace").replace("\0", "")
        case "&":
            entity = encoded.replace("amp;", "")
            decoded = html.unescape(entity).replace("\0", "")
            return decoded if decoded != entity else None
        case _:
            return _folded(encoded)


def unescaped(sequence: str) -> str:
    """Return what escape sequences of one kind, as JSON, JavaScript and Python write them, stand for."""
    kind = sequence[1]
    if kind in "ux":
        units = bytes.fromhex(re.sub(r"\\+[ux]", "", sequence))
        return units.decode("utf-16-be" if kind == "u" else "utf-8", "replace").replace("\0", "")
    return _SIMPLE.get(kind, kind)


def _in_place(piece: Piece) -> Iterator[Piece]:
    """Give the piece with all of its encoded places decoded, where it has any."""
    places = [(match.span(), _decoded(match[0])) for match in _ENCODED.finditer(piece.text)]
    changed = [(span, decoded) for span, decoded in places if decoded is not None]
    if changed:
        text, parts = substituted(piece.text, changed)
        yield Piece(text, piece.key, piece.root, piece, parts)


# -- Look-alikes -----------------------------------------------------------------------------------

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


# -- Base64 ----------------------------------------------------------------------------------------

_GROUP: Final = "[A-Za-f][A-HQ-Xg-nw-z0-3][ABEFIJMNQRUVYZcdghklopstwx014589][A-Za-z0-9+/_-]"
"""Four digits of base64 that stand for three characters of ASCII: the highest bits of all three are zero."""
_RUN: Final = re.compile(r"[A-Za-z0-9+/_-]{12,}")
_TEXT: Final = re.compile(f"(?:{_GROUP}){{3}}")
_STANDARD: Final = str.maketrans("+/", "-_")
_UNREADABLE: Final = 0.2
"""Share of characters that may be none of a text, for what was decoded to be one."""


def _unpacked(piece: Piece) -> Iterator[Piece]:
    text = piece.text
    for run in _RUN.finditer(text):
        found = _TEXT.search(text, *run.span())
        if found is None:
            continue
        # What stands before may belong to something else: only full groups of four are taken with it.
        begin = run.start() + (found.start() - run.start()) % 4
        decoded = _readable(text[begin : run.end()])
        if decoded is not None:
            padding = text[run.end() : run.end() + 2]
            end = run.end() + len(padding) - len(padding.lstrip("="))
            yield Piece(decoded, "", piece.root, piece, [Part(0, begin, end - begin, whole=True)], opaque=True)


def _readable(run: str) -> str | None:
    digits = run[:-1] if len(run) % 4 == 1 else run
    try:
        packed = urlsafe_b64decode(digits.translate(_STANDARD) + "=" * (-len(digits) % 4))
    except (binascii.Error, ValueError):
        return None
    text = packed.decode("utf-8", "replace").replace("\0", " ")
    unreadable = text.count("\ufffd")
    if unreadable <= len(text) * _UNREADABLE:
        unreadable += sum(not character.isprintable() and character not in "\n\r\t" for character in text)
    return text if unreadable <= len(text) * _UNREADABLE else None


DECODERS: Final = (
    Decoder(
        "in place",
        rb"""\\(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|["'/bfnrt])|%[0-9A-Fa-f]{2}|&(?:#[0-9xX]|commat;|period;|amp;)"""
        rb"""|[\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\xff]""",
        _in_place,
    ),
    Decoder("base64", f"(?:{_GROUP}){{3}}".encode(), _unpacked),
)
