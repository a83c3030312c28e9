"""What a database still needs, by its own history and this program's."""

from __future__ import annotations

import pytest

from collector_processor.errors import MigrationError
from collector_processor.store.migrations import pending
from collector_processor.store.statements import Migration, migrations

KNOWN = tuple(Migration(number, f"step{number}", b"", f"sum{number}") for number in (1, 2, 3))
DONE = [(migration.version, migration.name, migration.checksum) for migration in KNOWN]


@pytest.mark.parametrize("reached", [0, 1, 2, 3])
def test_what_is_left(reached):
    assert [each.version for each in pending(KNOWN, DONE[:reached])] == [1, 2, 3][reached:]


def test_a_newer_database():
    with pytest.raises(MigrationError, match=r"version 4 \(step4\), this program knows up to 3: upgrade"):
        pending(KNOWN, [*DONE, (4, "step4", "sum4")])


@pytest.mark.parametrize("done", [[(1, "step1", "other")], [(0, "before", "sum")]])
def test_another_history(done):
    with pytest.raises(MigrationError, match="with another content"):
        pending(KNOWN, done)


def test_this_programs_migrations_count_from_one_and_each_number_stands_once():
    versions = [migration.version for migration in migrations()]
    assert versions[0] == 1
    assert versions == sorted(set(versions))
