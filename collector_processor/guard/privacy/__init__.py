"""Privacy: personal data and credentials in texts are found, and replaced by keyed pseudonyms or withheld.

`Redactor.texts` takes all texts of a task at once; `Detector.scan` looks without replacing. Both are pure: the same
texts under the same keys give the same, whatever engine is used, however long it takes.
"""

from collector_processor.guard.privacy.detector import Detector
from collector_processor.guard.privacy.keyring import Keyring
from collector_processor.guard.privacy.people import TELLING, Person
from collector_processor.guard.privacy.redactor import Redactor
from collector_processor.guard.privacy.vocabulary import (
    Category,
    Finding,
    Limits,
    Reason,
    Redacted,
    Scanned,
    Text,
    Withheld,
)

__all__ = [
    "TELLING",
    "Category",
    "Detector",
    "Finding",
    "Keyring",
    "Limits",
    "Person",
    "Reason",
    "Redacted",
    "Redactor",
    "Scanned",
    "Text",
    "Withheld",
]
