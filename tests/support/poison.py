"""A worker that dies of what a task says, or never gets done: put before the modules of a processor's children."""

from __future__ import annotations

import os
from pathlib import Path

from support.processor import Processor

WORD = "deadly-nightshade"
DIES = "os.kill(os.getpid(), signal.SIGKILL)"
LOOPS = "deque(repeat(None), maxlen=0)"
"""In C, where no signal and no other thread gets a turn."""

_SITE = """
import sys

if "collector_processor.app.storing.worker" in sys.orig_argv:
    import os
    import signal
    from collections import deque
    from itertools import repeat
    from collector_processor.app.storing.pipeline import Pipeline

    prepare = Pipeline.prepare

    def taste(self, batch_id, tasks, *more):
        if any({word} in payload for task in tasks for _, payload, _ in task.payloads):
            {deed}
        return prepare(self, batch_id, tasks, *more)

    Pipeline.prepare = taste
"""


def poisoned(processor: Processor, folder: Path, deed: str = DIES) -> Processor:
    """Let the processor's workers be killed by every batch in which the word stands, or do something else."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(_SITE.format(word=WORD.encode(), deed=deed))
    path = [str(folder), *filter(None, [processor.environment.get("PYTHONPATH", os.environ.get("PYTHONPATH"))])]
    processor.environment["PYTHONPATH"] = os.pathsep.join(path)
    return processor
