"""pyproject.toml, constraints.txt and environment.yml say the same thing."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]

RUN = {"torch", "numpy", "matplotlib", "jupyterlab", "ipywidgets", "ipykernel", "tqdm", "jaxtyping", "gymnasium"}
CHECKING = {"pytest", "pytest-xdist", "nbval", "nbclient", "nbconvert", "jupytext", "nbformat", "hypothesis",
            "beartype", "scipy", "pillow", "playwright"}


def pins() -> dict[str, str]:
    """constraints.txt as {canonical name: exact version}; anything but NAME==VERSION is an error."""
    found = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        match = re.fullmatch(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.]+)", line)
        assert match, f"constraints.txt: expected NAME==VERSION, got {line!r}"
        name = canonicalize_name(match[1])
        assert name not in found, f"constraints.txt: {name} stands there twice"
        found[name] = match[2]
    return found


def names(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(line).name) for line in requirements}


def test_the_run_set_and_the_checking_set_are_the_ones_agreed_on():
    assert names(PROJECT["dependencies"]) == RUN
    assert names(PROJECT["optional-dependencies"]["dev"]) == CHECKING
    assert set(PROJECT["optional-dependencies"]) == {"dev", "bench"}


def test_versions_stand_in_constraints_only():
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    for requirement in (Requirement(line) for group in groups for line in group):
        assert not requirement.specifier, f"{requirement}: the version belongs into constraints.txt"
        assert canonicalize_name(requirement.name) in pins(), f"{requirement.name}: no version in constraints.txt"


def test_the_installed_versions_are_the_pinned_ones():
    """Everything that the course's packages need, followed to the end, is pinned and installed so."""
    from importlib.metadata import distribution

    pinned, seen = pins(), set()
    waiting = sorted(RUN | CHECKING)
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in seen:
            continue
        seen.add(name)
        dist = distribution(name)
        assert name in pinned, f"{name}: needed, but without a version in constraints.txt"
        assert Version(dist.version).public == pinned[name], f"{name}: installed {dist.version}"
        for requirement in map(Requirement, dist.requires or []):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)], prereleases=True)
                waiting.append(requirement.name)
    assert len(seen) > 90


def test_environment_yml_is_the_same_set_up():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    conda = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
    (pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    python = Requirement(next(entry for entry in conda if entry.startswith("python")))
    assert python.specifier == SpecifierSet(PROJECT["requires-python"])
    assert "pip" in conda and len(conda) == 2, "conda brings Python and pip only; versions stand in constraints.txt"
    assert set(pip) == {"--constraint constraints.txt", "--editable .[dev]"}


@pytest.mark.parametrize("minor, allowed", [(10, False), (11, True), (12, True), (13, True), (14, False)])
def test_python_versions(minor, allowed):
    assert SpecifierSet(PROJECT["requires-python"]).contains(f"3.{minor}.1") is allowed


def test_licence_and_holder():
    assert PROJECT["license"] == "MIT"
    assert PROJECT["authors"] == [{"name": "the rlcourse authors"}]
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert text.startswith("MIT License") and re.search(r"Copyright \(c\) \d{4} the rlcourse authors", text)


def test_the_repository_address_is_one_field():
    """While it is empty no page may carry a badge or a link that needs it."""
    address = PYPROJECT["tool"]["rlcourse"]["repository"]
    assert "urls" not in PROJECT
    for page in (ROOT / name for name in ("README.md", "CONTRIBUTING.md")):
        text = page.read_text(encoding="utf-8") if page.exists() else ""
        for sign in ("github.com", "colab.research", "shields.io", "mybinder"):
            assert address or sign not in text, f"{page.name}: {sign}, but the repository has no address yet"
