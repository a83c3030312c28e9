"""A worker that dies of what a task says: put before the modules of a processor's children by `poisoned`."""

from __future__ import annotations

import os
from pathlib import Path

from support.processor import Processor

WORD = "deadly-nightshade"

_SITE = f"""
import sys

if "collector_processor.app.storing.worker" in sys.orig_argv:
    import os
    import signal
    from collector_processor.app.storing.pipeline import Pipeline

    prepare = Pipeline.prepare

    def taste(self, batch_id, tasks, *more):
        if any({WORD!r}.encode() in payload for task in tasks for _, payload, _ in task.payloads):
            os.kill(os.getpid(), signal.SIGKILL)
        return prepare(self, batch_id, tasks, *more)

    Pipeline.prepare = taste
"""


def poisoned(processor: Processor, folder: Path) -> Processor:
    """Let the processor's workers be killed by every batch in which the word stands, as by a lack of memory."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(_SITE)
    path = [str(folder), *filter(None, [processor.environment.get("PYTHONPATH", os.environ.get("PYTHONPATH"))])]
    processor.environment["PYTHONPATH"] = os.pathsep.join(path)
    return processor
