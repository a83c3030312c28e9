"""An analyst whose analysers do what analysers must not: the facet says which one.

AST loops without end, JUDGE dies, REFLECTION eats memory, CONVERSATION says how it is asked to: `description` of the
record names a size of the content, or `long`, a message that no pool accepts.
"""

from __future__ import annotations

import os
import sys

from collector_processor.analyse import Cleaned, Finding, process
from collector_processor.model.samples import SampleStatus
from collector_processor.model.sampling import Facet

MEMORY = 256 << 20


class Misbehaving:
    version = 1

    def __init__(self, facet: Facet) -> None:
        self.facet = facet

    def analyse(self, material, clean):
        match self.facet:
            case Facet.AST:
                while True:
                    pass
            case Facet.JUDGE:
                os.abort()
            case Facet.REFLECTION:
                return Finding(SampleStatus.COMPLETE, {"text": "x" * (2 * MEMORY)})
        wish = material.record.task.description
        if wish == "long":
            sink.write(process.LENGTH.pack(1 << 30))
            sink.flush()
        return Finding(SampleStatus.COMPLETE, {"pid": os.getpid(), "calls": material.calls, "text": "x" * int(wish)})


def clean(texts, tenant):
    return Cleaned([value for _, value in texts], frozenset())


if __name__ == "__main__":
    sink = sys.stdout.buffer
    begin = process.read(sys.stdin.buffer)
    if begin == b"refuse":
        sys.exit(3)
    process.serve(
        {facet: Misbehaving(facet) for facet in Facet},
        clean,
        max_bytes=10_000,
        memory_bytes=MEMORY,
        source=sys.stdin.buffer,
        sink=sink,
        alarm_seconds=0.1 if begin == b"impatient" else process.ALARM_SECONDS,
    )
