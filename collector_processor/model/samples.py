"""A deep sample: what one analyser made of one task, or why it made nothing of it.

Core records never wait for samples. A sample is stored beside its record with the policy that took it and the
probability of that (`sampling`); this module is the analyser's part of the row.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from collector_processor.model.sampling import Facet


class SampleStatus(StrEnum):
    """How an analysis ended."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    """There is content, and `reason` or `gaps` say what is missing in it."""
    EMPTY = "empty"
    """The analyser had nothing to work on."""
    FAILED = "failed"
    SHED = "shed"
    """Not analysed for want of room or calls: outside the claim of unbiasedness."""


class SampleReason(StrEnum):
    """Why a sample is not complete."""

    CONTENT_OFF = "content_off"
    """The source captures no content: the plugin's default."""
    NO_INPUT = "no_input"
    """The task has nothing of the kind: no model call, no patch."""
    INPUT_GONE = "input_gone"
    """The task's spans had left the journal when the facet was wanted."""
    GAPS = "gaps"
    """Something is known to be missing: see `gaps`."""
    WITHHELD = "withheld"
    """A text could not be searched for personal data, so it was left out."""
    HUNKS_ONLY = "hunks_only"
    """A patch shows the changed places of a file, not the whole of it."""
    LANGUAGE_UNKNOWN = "language_unknown"
    PARSE_ERROR = "parse_error"
    TOO_LARGE = "too_large"
    TIMED_OUT = "timed_out"
    OUT_OF_MEMORY = "out_of_memory"
    CRASHED = "crashed"
    """The process that analysed it died, or its analyser raised."""
    ENDPOINT_MISSING = "endpoint_missing"
    ENDPOINT_FAILED = "endpoint_failed"
    """The endpoint refused, or gave no answer after all retries."""
    BAD_ANSWER = "bad_answer"
    """The endpoint answered, but not in the asked form."""
    BUDGET = "budget"
    """The hour's calls were spent, or there was no room for what waits."""


class Sample(msgspec.Struct, frozen=True):
    """What is stored of an analysis.

    Attributes:
        analyser: name and version of what made it, such as `conversation/1`.
        reason: None where the status is complete.
        content: a JSON object in UTF-8, redacted, without NUL; `{}` where there is none.
        gaps: what is missing, each in a few words, never a text of the task.
        seconds: what the analysis took.
        calls: requests that were made to a model.
    """

    facet: Facet
    analyser: str
    status: SampleStatus
    reason: SampleReason | None = None
    content: bytes = b"{}"
    gaps: tuple[str, ...] = ()
    seconds: float = 0.0
    calls: int = 0
