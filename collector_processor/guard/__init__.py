"""Guard: what a record must be before it is stored. Tenants are hashed, and the quality gates give their verdict."""

from collector_processor.guard.judge import GateSettings, judge
from collector_processor.guard.outliers import with_baseline
from collector_processor.guard.tenants import protect

__all__ = ["GateSettings", "judge", "protect", "with_baseline"]
