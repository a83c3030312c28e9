"""Analyse: a task that was chosen for a deep look → a `Sample` a facet. Costly, so it runs beside the way of the data.

The shape, from outside to inside:

    Work      one task and one facet: the record as it is stored, and the raw OTLP parts of its trace
      Pool      hands each Work to a process of its own, with limits on time, memory and size
        Material  what the analyser reads: the decoded record, spans and log records
          Analyser  one a facet: conversation, ast, judge, reflection; returns a Finding
        clean     the privacy pass: nothing is stored, or sent to a model, that did not come through it
    Sample    what is stored, or the reason why there is nothing

A crash, an endless loop or a file that eats all memory costs one sample. What `clean` can't read is withheld and
named as a gap.
"""

from collector_processor.analyse.analyser import Analyser, Clean, Cleaned, Finding
from collector_processor.analyse.material import Material, Part, Work

__all__ = ["Analyser", "Clean", "Cleaned", "Finding", "Material", "Part", "Work"]
