"""Detectors of both engines, made once for all tests of this folder: compiling takes half a second."""

from __future__ import annotations

import pytest

from collector_processor.guard.privacy import Detector, Keyring, Limits, Redactor

KEYS = {"k1": b"the first key, 16 bytes and more", "k2": b"the second key, 16 bytes and more"}


@pytest.fixture(scope="session")
def detectors() -> dict[str, Detector]:
    """A detector for each engine, by its name."""
    return {name: Detector(engine=name) for name in ("hyperscan", "re2")}


@pytest.fixture(params=["hyperscan", "re2"])
def detector(request: pytest.FixtureRequest, detectors: dict[str, Detector]) -> Detector:
    """The same test with each engine."""
    return detectors[request.param]


@pytest.fixture(scope="session")
def keyring() -> Keyring:
    return Keyring(KEYS, "k2")


@pytest.fixture(scope="session")
def redactor(detectors: dict[str, Detector], keyring: Keyring) -> Redactor:
    return Redactor(keyring, detectors["hyperscan"])


@pytest.fixture(scope="session")
def patient() -> Detector:
    """A detector that takes longer texts than usual."""
    return Detector(Limits(characters=64 << 20))
