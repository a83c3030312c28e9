"""The equations that must balance: every span and every record is in exactly one place. Pure."""

from __future__ import annotations

from collector_processor.app.reporting.status import Equation
from collector_processor.journal.format import Counters
from collector_processor.store.figures import Ledger


def journal_spans(counters: Counters) -> Equation:
    """Every span and every log record that was received, by where it is or went."""
    return Equation(
        name="journal spans",
        total_name="received",
        total=counters.received,
        terms={
            "rejected": counters.rejected,
            "traceless": counters.traceless,
            "duplicate": counters.duplicate,
            "open": counters.open,
            "sealed": counters.sealed,
            "foreign": counters.foreign,
            "truncated": counters.truncated,
            "shed": counters.shed,
            "undecodable": counters.undecodable,
            "dead_lettered": counters.dead,
            "discarded": counters.given_up,
            "in_fallback": counters.in_fallback,
            "damaged_in_fallback": counters.damaged,
            "erased": counters.withdrawn,
            "handed_over": counters.handed_over,
        },
    )


def database_spans(ledger: Ledger) -> Equation:
    """Every span that the ledger says was stored, by what the tables hold of it."""
    return Equation(
        name="database spans",
        total_name="ledger",
        total=ledger.spans,
        terms={
            "in_points": ledger.in_points,
            "duplicate": ledger.duplicate,
            "orphaned": ledger.orphaned,
            "discarded": ledger.discarded,
            "erased": ledger.erased,
            "expired": ledger.expired,
        },
    )


def deep_samples(counters: Counters) -> Equation:
    """Every deep facet that was kept of a task, by what became of it."""
    return Equation(
        name="deep samples",
        total_name="kept",
        total=counters.samples_kept,
        terms={
            "pending": counters.samples_pending,
            "stored": counters.samples_stored,
            "record_gone": counters.samples_void,
            "erased": counters.samples_withdrawn,
            "forgone": counters.samples_forgone,
        },
    )


def records(counters: Counters) -> Equation:
    """Every task that was closed, by what became of it."""
    return Equation(
        name="records",
        total_name="newly_closed",
        total=counters.tasks_closed,
        terms={
            "sealed": counters.tasks_sealed,
            "accepted": counters.tasks_accepted,
            "quarantined": counters.tasks_quarantined,
            "repeated": counters.tasks_repeated,
            "dead_lettered": counters.tasks_dead,
            "discarded": counters.tasks_given_up,
            "in_fallback": counters.tasks_in_fallback,
            "damaged_in_fallback": counters.tasks_damaged,
            "erased": counters.tasks_withdrawn,
        },
    )
