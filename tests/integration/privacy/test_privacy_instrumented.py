"""An application that nobody changed, under the real instrumentation: what it says of people stays with it."""

from __future__ import annotations

from collections.abc import Callable

from integration.privacy.conftest import TENANT_KEY, Protected
from support.planted import token
from support.processor import gates, wait_until

from collector_processor.guard.privacy import Category
from otel_benchmark import attributes as a

MAIL, NAME = "oluchi.o@planted-corp.com", "Oluchi Okafor"


def test_what_an_arbiter_says_of_people_stays_with_it(
    protected: Callable[..., Protected], careless: Callable[..., None]
) -> None:
    running, secret = protected(), token()
    processor = running.processor
    planted = {"MAIL": MAIL, "NAME": NAME, "PHONE": "+1 415 555 2671", "CARD": "4539578763621486", "TOKEN": secret}
    careless(processor, **planted)
    processor.flush()
    processor.settle()
    wait_until(lambda: len(running.backend.spans) == 9)
    processor.assert_balanced()

    needles = [*planted.values(), "Oluchi", "Okafor", "oluchi", "planted-corp", "415 555"]
    leaks = [(name, needle) for name, content in running.outputs() for needle in needles if needle.encode() in content]
    assert leaks == []

    tenant = a.tenant_hash(TENANT_KEY.encode(), "acme")
    mail, name = running.pseudonym(MAIL, tenant), running.pseudonym(NAME, tenant, Category.NAME)
    rows = processor.rows("SELECT task_id, record FROM data_points")
    by_task = {row["task_id"]: row["record"] for row in rows}
    order = running.pseudonym(f"order {MAIL}", None, Category.ID)
    assert by_task.keys() == {order + running.pseudonym(MAIL, None), "order 2"}
    failed = by_task.pop("order 2")
    (done,) = by_task.values()
    for record in (done, failed):
        assert not {"pii", "secrets"} & gates(record).keys()
        description = record["task"]["description"]
        assert f'{{"customer_name": "{name}", "email": "{mail}"' in description
        assert record["routing"]["rationale"].startswith(f"{name} asked for it on <PHONE:k1:")
    assert done["evaluation"]["qualityGates"][0]["explanation"] == f"{name} was thanked at {mail}"
    assert failed["execution"]["failureReason"].startswith(f"{name} <{mail}> was refused: ")
    processor.stop()
