"""Who may connect and send: what all listeners of a processor share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from collector_processor.receive.tls import Certificates
from collector_processor.receive.tokens import Tokens


class Access(NamedTuple):
    """TLS and tokens, each where it is configured, and how many connections a listener holds at once."""

    certificates: Certificates | None = None
    tokens: Tokens | None = None
    max_connections: int = 1000

    def check(self, authorization: bytes) -> None:
        """Look at a request's authorization header, empty where there was none. Raises UnauthenticatedError."""
        if self.tokens is not None:
            self.tokens.check(authorization)

    def problems(self) -> Iterator[str]:
        """What a person must see to, while everything goes on as it was before."""
        for part in (self.certificates, self.tokens):
            if part is not None and (problem := part.problem) is not None:
                yield problem


OPEN: Final = Access()
"""For loopback: whoever can connect may send."""
