"""Killed at random, all of it or a part, a processor loses nothing and stores nothing twice. KILLS sets how often.

So many kills are a round: a processor and a database of its own, of which all is accounted for at its end. SEED + its
number sets a round's choices.
"""

from __future__ import annotations

import math
import os

import pytest
from support.accounts import Watcher, assert_accounted, settled
from support.killing import Killer
from support.steady_load import Load

KILLS = int(os.environ.get("KILLS", "12"))
SEED = int(os.environ.get("SEED", "7"))
ROUND = 50

pytestmark = pytest.mark.timeout(120 + 60 * ROUND)


@pytest.mark.parametrize("number", range(math.ceil(KILLS / ROUND)))
def test_killed_at_random(mortal, reference, postgres_url, number):
    processor = mortal(WORKERS=str(1 + number % 2))
    watcher = Watcher(processor)
    with (
        Load(processor.address) as load,
        watcher.watching(),
        Killer(processor, load, SEED + number, postgres_url) as killer,
    ):
        for _ in range(min(ROUND, KILLS - number * ROUND)):
            killer.strike()
        processor.run_on(wait=True)
    settled(processor, load.done)
    watcher.assert_balanced()
    assert load.failures
    assert_accounted(processor, load.done)
    reference.assert_same(processor, load.done)
    killer.wait_for_orphans()
    processor.stop()
