"""Conversion: a sealed task's bytes → facts → the data point, a pure fold of them.

`convert` reads a sealed task, `unite` joins the facts of several readings, `fold` makes the record. Nothing here
reads a clock, a file or a socket.
"""

from collector_processor.convert.fold import FoldSettings, fold
from collector_processor.convert.task import convert
from collector_processor.convert.union import unite

__all__ = ["FoldSettings", "convert", "fold", "unite"]
