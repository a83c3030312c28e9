"""What a process loads and keeps: nothing that it has no use for."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import psutil
import pytest

from collector_processor.app.memory import give_back

INSTALLED = {"rich", "pygments"}
"""Beside tools: what others have in their environment must cost them nothing."""
UNUSED = {
    "serve": {"urllib3", "tree_sitter", "cryptography.x509"},
    "storing.worker": {"urllib3", "tree_sitter", "grpc", "uvicorn", "prometheus_client"},
    "analysing.analyst": {"urllib3", "grpc", "uvicorn", "prometheus_client", "psycopg", "lmdb"},
    "forwarding.forwarder": {"tree_sitter", "uvicorn", "prometheus_client"},
}


def resident() -> int:
    return int(psutil.Process().memory_info().rss)


@pytest.mark.parametrize("process", UNUSED)
def test_a_process_loads_none_of_what_others_need_and_leaves_it_to_be_found(process: str) -> None:
    ask = f"import sys, collector_processor.app.{process}; print(*sys.modules); import urllib3, rich"
    loaded = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True).stdout.split()
    assert "structlog" in loaded
    assert not (UNUSED[process] | INSTALLED) & {*loaded}


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="glibc's alone")
def test_what_was_freed_below_something_that_stays_is_given_back() -> None:
    pieces = [b"x" * 100_000 for _ in range(400)]
    kept = pieces[-1]
    del pieces
    before = resident()
    give_back()
    assert resident() < before - 20_000_000
    assert len(kept) == 100_000
