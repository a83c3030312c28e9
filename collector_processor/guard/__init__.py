"""Guard: what a record must be before it is stored.

Tenants are hashed, personal data and credentials give way to pseudonyms, and the quality gates give their verdict.
"""

from collector_processor.guard.judge import GateSettings, judge
from collector_processor.guard.outliers import with_baseline
from collector_processor.guard.protection import Protector

__all__ = ["GateSettings", "Protector", "judge", "with_baseline"]
