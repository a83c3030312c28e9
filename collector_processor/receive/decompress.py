"""Content encodings, decoded as they arrive: a chunk in, pieces out, never more than one piece ahead.

The reader of the pieces stops where the limit is, so a gzip bomb costs what the limit allows and no more.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from collector_processor.errors import MalformedRequestError

PIECE_BYTES: Final = 1024 * 1024
_GZIP: Final = 16 + zlib.MAX_WBITS
_ZLIB: Final = zlib.MAX_WBITS


class Decoder(Protocol):
    """Decodes one body."""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Decode what came next."""

    def finish(self) -> None:
        """Say that nothing more comes; raises MalformedRequestError where the body is cut short."""


class Identity:
    """A body as it is."""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Give the chunk."""
        yield chunk

    def finish(self) -> None:
        """Do nothing: any end is a good end."""


class Inflate:
    """A gzip or zlib body; several gzip members after one another are one body."""

    def __init__(self, name: str, window_bits: int) -> None:
        self._name = name
        self._window_bits = window_bits
        self._member = zlib.decompressobj(window_bits)
        self._begun = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Give pieces of at most `PIECE_BYTES`.

        Raises:
            MalformedRequestError: these bytes are not of this encoding.
        """
        while chunk:
            if self._member.eof:
                self._member = zlib.decompressobj(self._window_bits)
            self._begun = True
            try:
                piece = self._member.decompress(chunk, PIECE_BYTES)
            except zlib.error as error:
                raise MalformedRequestError(f"The body is not valid {self._name}: {error}") from error
            yield piece
            chunk = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            if not chunk and len(piece) == PIECE_BYTES:
                yield from self._held_back()

    def _held_back(self) -> Iterator[bytes]:
        """Give what zlib still holds although it has read all its input."""
        while not self._member.eof and (piece := self._member.decompress(b"", PIECE_BYTES)):
            yield piece

    def finish(self) -> None:
        """Check that the last member is whole.

        Raises:
            MalformedRequestError: it isn't.
        """
        if not self._begun or not self._member.eof:
            raise MalformedRequestError(f"The {self._name} body is cut short")


DECODERS: Final[dict[str, Callable[[], Decoder]]] = {
    "": Identity,
    "identity": Identity,
    "gzip": lambda: Inflate("gzip", _GZIP),
    "deflate": lambda: Inflate("deflate", _ZLIB),
}
"""By content encoding. OTLP asks for gzip; the Python exporter also knows deflate."""
