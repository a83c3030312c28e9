"""`deploy/collector`: what the real program says to the configurations, and what its README says of them."""

from __future__ import annotations

import re

import pytest
from support.collector import CONFIGURATIONS

PROCESSORS = {
    "agent.yaml": {"PROCESSOR": "127.0.0.1:4317"},
    "gateway.yaml": {"PROCESSOR_FIRST": "127.0.0.1:4317", "PROCESSOR_SECOND": "https://processor.internal:4317"},
}


def variables(configuration: str) -> dict[str, str]:
    """The variables that a configuration reads, with their defaults as the README shows them."""
    text = (CONFIGURATIONS / configuration).read_text(encoding="utf-8")
    found = set(re.findall(r"\$\{env:(\w+)(:-[^}]*)?\}", text))
    assert len(found) == len(dict(found)), "two defaults for one variable"
    return {name: shown(default) for name, default in found}


@pytest.mark.parametrize("configuration", PROCESSORS)
def test_the_program_takes_it(new_collector, configuration):
    judged = new_collector(configuration, **PROCESSORS[configuration]).validate()
    assert (judged.returncode, judged.stderr) == (0, "")


@pytest.mark.parametrize("configuration", PROCESSORS)
def test_without_a_processor_it_is_refused_at_once(new_collector, configuration):
    judged = new_collector(configuration).validate()
    assert judged.returncode == 1
    assert judged.stderr.count('requires a non-empty "endpoint"') == len(PROCESSORS[configuration])


@pytest.mark.parametrize("configuration", PROCESSORS)
def test_unasked_it_listens_on_loopback_alone(configuration):
    addresses = [default for default in variables(configuration).values() if re.search(r":\d+`$", default)]
    assert len(addresses) >= 3
    assert all(address.startswith("`127.0.0.1:") for address in addresses)


@pytest.mark.parametrize("configuration", PROCESSORS)
def test_it_has_what_no_test_here_can_wait_for(configuration):
    """A power failure, and an outage of more than five minutes."""
    text = (CONFIGURATIONS / configuration).read_text(encoding="utf-8")
    assert "    fsync: true\n" in text
    assert "      max_elapsed_time: 0\n" in text


def test_the_readme_has_every_variable():
    """Its table: variable, default of the agent, default of the gateway, meaning."""
    readme = (CONFIGURATIONS / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`OTELCOL_.*?`) \| (.*?) \| (.*?) \|", readme, re.MULTILINE)
    agent, gateway = (
        {name: row[place] for row in rows for name in row[0].replace("`", "").split(", ") if row[place] != "-"}
        for place in (1, 2)
    )
    assert [agent, gateway] == [variables(each) for each in PROCESSORS]


def shown(default: str) -> str:
    return f"`{default.removeprefix(':-')}`" if default.removeprefix(":-") else "empty" if default else "required"
