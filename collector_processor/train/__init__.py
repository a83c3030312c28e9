"""Train: from stored records to what a learner reads. Records are never changed; what is handed on are copies."""

from collector_processor.train.clean import Action, Cleaned, CleanSettings, Kind, clean

__all__ = ["Action", "CleanSettings", "Cleaned", "Kind", "clean"]
