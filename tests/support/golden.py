"""The golden record: what the whole path from SDK to guard makes of one real trace.

Usage, after a wanted change: PYTHONPATH=tests python -m support.golden (writes the file anew)
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from collector_processor.guard import GateSettings, judge
from collector_processor.model.record import encode_point
from support.facts import BASELINE
from support.lifecycle import raw_task, whole_task
from support.records import facts_from, record_from

FILE: Final = Path(__file__).parents[1] / "unit" / "convert" / "golden" / "record.json"


def golden_record() -> bytes:
    """The record in wire form, laid out for readers."""
    facts = msgspec.structs.replace(facts_from(raw_task(whole_task())), baseline=BASELINE)
    point = judge(record_from(facts), GateSettings()).point
    return msgspec.json.format(encode_point(point), indent=2) + b"\n"


if __name__ == "__main__":
    FILE.write_bytes(golden_record())
