"""What a forked child inherits of an OTLP/HTTP exporter that was made before the fork: the application's own.

Its open connection would be shared with the parent, and two processes would read each other's answers. A lock that a
thread of the parent held at the fork (of its pool of connections, of its cookies, of a module that was being
imported) would stay locked in the child for ever, and so its last flush would hang.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests

_inherited: Final[list[object]] = []
"""Kept for ever: the end of a pool closes its connections one by one, under the lock that may be held."""


def import_what_sending_imports() -> None:
    """Import, before there are threads, what requests and sockets import only when they first send."""
    import encodings.idna  # noqa: F401, PLC0415
    import netrc  # noqa: F401, PLC0415


def renew_connections(provider: object) -> None:
    """Give each `requests` session that a provider's exporters hold an empty pool of connections."""
    # Without the module there is no such session.
    if (requests := sys.modules.get("requests")) is not None:
        for session in _sessions(provider, requests.Session, set()):
            for adapter in session.adapters.values():
                _inherited.append(vars(adapter).copy())
                adapter.__setstate__(adapter.__getstate__())  # as if it came out of a pickle: with no connections
            _inherited.append(session.cookies)
            session.cookies = session.cookies.copy()


def _sessions(holder: object, kind: type[requests.Session], seen: set[int]) -> Iterator[Any]:
    """Find them by their type: the SDK and its exporters hold them in attributes that differ between versions."""
    if isinstance(holder, kind):
        yield holder
        return
    if isinstance(holder, (tuple, list)):
        parts: Any = holder
    elif type(holder).__module__.startswith("opentelemetry.") and hasattr(holder, "__dict__"):
        parts = vars(holder).values()
    else:
        return
    if id(holder) not in seen:
        seen.add(id(holder))
        for part in parts:
            yield from _sessions(part, kind, seen)
