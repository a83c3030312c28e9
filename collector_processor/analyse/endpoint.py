"""Where a model is asked: what the processor tells its analysts, without what asking takes."""

from __future__ import annotations

from typing import Final

import msgspec

RETRIES: Final = 3
"""Of one request, at refusals that pass: 408, 429, 5xx, a lost connection."""
REQUESTS_PER_VOTE: Final = 2
"""A vote in another form is asked for once more."""


class Endpoint(msgspec.Struct, frozen=True):
    """Where a model is asked.

    Attributes:
        url: the base of its API, such as `http://127.0.0.1:8000/v1`; redirects are not followed.
        timeout: of one request, in seconds.
        max_bytes: of what is sent, so that it fits the model's context.
    """

    url: str
    model: str
    key: str | None = None
    timeout: float = 60.0
    max_bytes: int = 200 << 10
