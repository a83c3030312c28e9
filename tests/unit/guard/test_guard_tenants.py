"""Tenants: hashed with a key, left out and flagged without."""

from __future__ import annotations

import re

import pytest
from support.lifecycle import execution, route, sealed, task

from collector_processor.convert import convert
from collector_processor.guard.tenants import hash_tenants
from collector_processor.model.facts import Problem
from collector_processor.model.stages import Converted, SealKind
from otel_benchmark import attributes as a

KEY = b"a key of at least thirty-two bytes"
HASHED = a.tenant_hash(KEY, "acme")


def converted(**said: str) -> Converted:
    return convert(sealed(task(attributes=said), route(), execution()))


def tenant_of(result: Converted) -> str | None:
    assert result.facts is not None
    assert result.facts.task is not None
    return result.facts.task.tenant


def test_a_tenant_in_clear_is_hashed() -> None:
    result = hash_tenants(converted(**{a.TENANT_ID: "acme"}), KEY)
    assert tenant_of(result) == HASHED
    assert re.fullmatch("[0-9a-f]{64}", HASHED)
    assert result.facts is not None
    assert result.facts.anomalies == ()


def test_hashes_differ_by_tenant_and_key() -> None:
    assert len({HASHED, a.tenant_hash(KEY, "acme2"), a.tenant_hash(KEY + b"2", "acme")}) == 3


@pytest.mark.parametrize("key", [None, b"", KEY])
def test_a_hash_from_the_source_passes(key: bytes | None) -> None:
    result = converted(**{a.TENANT_HASH: "ab" * 32, a.TENANT_ID: "acme"})
    assert hash_tenants(result, key) == result
    assert tenant_of(result) == "ab" * 32


@pytest.mark.parametrize("said", ["acme", "AB" * 32, "ab" * 31, "ab" * 33, "zz" * 32])
def test_what_is_no_hash_is_in_clear_wherever_it_stands(said: str) -> None:
    assert tenant_of(hash_tenants(converted(**{a.TENANT_HASH: said}), KEY)) == a.tenant_hash(KEY, said)


@pytest.mark.parametrize("key", [None, b""])
def test_without_a_key_a_tenant_is_left_out_and_flagged(key: bytes | None) -> None:
    result = hash_tenants(converted(**{a.TENANT_ID: "acme"}), key)
    assert tenant_of(result) is None
    assert result.facts is not None
    (anomaly,) = result.facts.anomalies
    assert (anomaly.field, anomaly.problem) == (a.TENANT_ID, Problem.TENANT_WITHOUT_KEY)
    assert "COLLECTOR_PROCESSOR_TENANT_KEY" in (anomaly.detail or "")


@pytest.mark.parametrize("key", [None, KEY])
def test_without_a_tenant_nothing_changes(key: bytes | None) -> None:
    assert hash_tenants(converted(), key) == converted()


@pytest.mark.parametrize(("key", "expected"), [(KEY, HASHED), (None, None)])
def test_strays_are_protected_too(key: bytes | None, expected: str | None) -> None:
    raw = sealed(route(attributes={a.TENANT_ID: "acme"}), execution(), kind=SealKind.ORPHAN)
    strays = {stray.key.span_id: stray for stray in hash_tenants(convert(raw), key).strays}
    assert [stray.tenant for stray in strays.values()] == [expected, None]


def test_late_facts_have_no_tenant_to_protect() -> None:
    late = convert(sealed(route(), kind=SealKind.LATE))
    assert hash_tenants(late, None) == late


def test_protecting_twice_changes_nothing() -> None:
    once = hash_tenants(converted(**{a.TENANT_ID: "acme"}), KEY)
    assert hash_tenants(once, KEY) == once
