"""Tenants: no tenant in clear passes this point."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from collector_processor.model.facts import Anomaly, Facts, Problem
from collector_processor.model.stages import Converted
from otel_benchmark import attributes as a

HASH: Final = re.compile(r"[0-9a-f]{64}")
"""What a hashed tenant looks like: such a value passes as it is."""


def hash_tenants(converted: Converted, key: bytes | None) -> Converted:
    """Return a conversion with its tenants hashed; without a key a tenant in clear becomes null and is flagged."""
    facts = converted.facts
    if facts is not None and facts.task is not None and facts.task.tenant is not None:
        converted = converted._replace(facts=_protect_facts(facts, facts.task.tenant, key))
    if converted.tenant is not None:
        converted = converted._replace(tenant=hashed(converted.tenant, key))
    if any(stray.tenant is not None for stray in converted.strays):
        strays = [stray._replace(tenant=hashed(stray.tenant, key)) for stray in converted.strays]
        converted = converted._replace(strays=strays)
    return converted


def hashed(tenant: str | None, key: bytes | None) -> str | None:
    """Return the name under which a tenant is known; None where it is in clear and there is no key."""
    if tenant is None or HASH.fullmatch(tenant):
        return tenant
    return a.tenant_hash(key, tenant) if key else None


def _protect_facts(facts: Facts, tenant: str, key: bytes | None) -> Facts:
    task = facts.task
    assert task is not None
    known_as = hashed(tenant, key)
    if known_as == tenant:
        return facts
    anomalies = facts.anomalies
    if known_as is None:
        detail = "a tenant in clear was left out: set COLLECTOR_PROCESSOR_TENANT_KEY, or hash it at the source"
        anomalies += (Anomaly(task.span_id, a.TENANT_ID, Problem.TENANT_WITHOUT_KEY, detail),)
    return msgspec.structs.replace(facts, task=msgspec.structs.replace(task, tenant=known_as), anomalies=anomalies)
