"""The hard cap: so many analyses of a facet in any hour, whatever was drawn. What it sheds, no weight makes good.

Minutes are counted, so that an hour is the current minute and the 60 before it: never less than any hour.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from collector_processor.model.sampling import Admitted, Facet

_MINUTE: Final = 60 * 10**9
_HOUR: Final = 60


def admit(admitted: Admitted, facet: Facet, caps: Mapping[Facet, int], now: int) -> Admitted | None:
    """Return the account with one more analysis at `now` (nanoseconds); None where it would exceed the cap.

    A clock that was set back keeps what was counted ahead of it.
    """
    if (cap := caps.get(facet)) is None:
        return admitted
    minute = now // _MINUTE
    minutes = {each: count for each, count in admitted.minutes.get(facet, {}).items() if each >= minute - _HOUR}
    if sum(minutes.values()) >= cap:
        return None
    minutes[minute] = minutes.get(minute, 0) + 1
    return Admitted(admitted.minutes | {facet: minutes})
