"""Bodies come out as they went in, however they are cut, and bombs in small pieces."""

from __future__ import annotations

import contextlib
import gzip
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector_processor.errors import MalformedRequestError
from collector_processor.receive.decompress import DECODERS, PIECE_BYTES

PACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "identity": bytes,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
}


def decode(encoding: str, chunks) -> bytes:
    decoder = DECODERS[encoding]()
    out = b"".join(piece for chunk in chunks for piece in decoder.feed(chunk))
    decoder.finish()
    return out


@given(st.sampled_from(sorted(PACK)), st.lists(st.binary(max_size=300), min_size=1), st.integers(1, 50))
def test_members_cut_anywhere_are_joined(encoding, parts, step):
    packed = b"".join(PACK[encoding](part) for part in parts)
    assert decode(encoding, [packed[at : at + step] for at in range(0, len(packed), step)]) == b"".join(parts)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("size", [PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 5 * PIECE_BYTES])
def test_a_bomb_comes_in_pieces(encoding, size):
    packed = PACK[encoding](bytes(size))
    pieces = list(DECODERS[encoding]().feed(packed))
    assert max(map(len, pieces)) <= PIECE_BYTES
    assert b"".join(pieces) == bytes(size)
    assert decode(encoding, [packed]) == bytes(size)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_every_truncation_is_malformed(encoding):
    packed = PACK[encoding](b"some body")
    for end in range(len(packed)):
        with pytest.raises(MalformedRequestError, match="cut short"):
            decode(encoding, [packed[:end]])


@given(st.sampled_from(["gzip", "deflate"]), st.binary(min_size=1, max_size=100))
def test_other_bytes_are_malformed_or_decode(encoding, body):
    with contextlib.suppress(MalformedRequestError):
        decode(encoding, [body])


def test_a_changed_byte_is_noticed():
    packed = bytearray(gzip.compress(b"some body" * 10))
    packed[-6] ^= 1
    with pytest.raises(MalformedRequestError, match="not valid gzip"):
        decode("gzip", [bytes(packed)])
