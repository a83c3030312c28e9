"""JSON in texts: its strings and numbers, each with the key it stands under, in place.

A document is never written anew: what has to be replaced is replaced where it stands, and everything else stays as
it was, to the byte.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final

import msgspec

from collector_processor.guard.privacy.decoders import unescaped
from collector_processor.guard.privacy.keyed import under_key
from collector_processor.guard.privacy.pieces import Part, Piece, substituted

_TOKEN: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+')
_ESCAPE: Final = re.compile(r"(?:\\u[0-9A-Fa-f]{4})+|\\.")
_KEY_LENGTH: Final = 160
"""Characters of a path of keys that are kept: the last ones decide."""


def is_document(text: str) -> bool:
    """Whether a text is a JSON object, list or string; deep nesting raises RecursionError."""
    first = text.lstrip()[:1]
    if first not in ("{", "[", '"'):
        return False
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return False
    return True


def leaves(piece: Piece) -> Iterator[Piece]:
    """Give the strings and numbers of a document, keys included, as pieces of their own."""
    above: list[tuple[bool, str]] = []
    key, in_object, awaits_key = piece.key, False, False
    for match in _TOKEN.finditer(piece.text):
        lexeme = match[0]
        match lexeme[0]:
            case '"' if awaits_key:
                name = json.loads(lexeme, strict=False) if "\\" in lexeme else lexeme[1:-1]
                outer = above[-1][1]
                key = f"{outer}.{name}"[-_KEY_LENGTH:] if outer else name
                yield _string(piece, match.start(), lexeme, "")
            case '"':
                yield _string(piece, match.start(), lexeme, key)
            case "{" | "[":
                above.append((in_object, key))
                in_object = awaits_key = lexeme == "{"
            case "}" | "]":
                in_object, key = above.pop()
                awaits_key = False
            case ",":
                awaits_key = in_object
                key = above[-1][1] if not in_object and above else key
            case ":":
                awaits_key = False
            case first if first.isdigit() or first == "-":
                if len(lexeme) >= 7 or under_key(key, lexeme):
                    parts = [Part(0, match.start(), len(lexeme), whole=True)]
                    yield Piece(lexeme, key, piece.root, piece, parts, bare=True)


def _string(piece: Piece, start: int, lexeme: str, key: str) -> Piece:
    inside = lexeme[1:-1]
    if "\\" not in inside:
        return Piece(inside, key, piece.root, piece, (Part(0, start + 1, len(inside), whole=False),), literal=True)
    places = [(escape.span(), unescaped(escape[0])) for escape in _ESCAPE.finditer(inside)]
    text, parts = substituted(inside, places)
    parts = [part._replace(origin=part.origin + start + 1) for part in parts]
    return Piece(text, key, piece.root, piece, parts, literal=True)
