"""The files around the code agree with it and with each other."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from app.settings import load
from app.settings.aliases import ALIASES, UNREAD
from app.settings.model import FIELDS

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCKS = ("requirements.lock", "requirements-dev.lock")


def pinned(lock: str) -> dict[str, str]:
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==(\S+) \\$", (ROOT / lock).read_text(), re.MULTILINE))


def test_both_locks_pin_the_same_versions():
    run, develop = map(pinned, LOCKS)
    assert run.items() <= develop.items()


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        ("requirements.lock", [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["build"]]),
        ("requirements-dev.lock", PROJECT["optional-dependencies"]["dev"]),
    ],
)
def test_the_lock_satisfies_every_dependency(lock: str, wanted: list[str]):
    found = pinned(lock)
    for requirement in map(Requirement, wanted):
        version = found[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version, prereleases=True), f"{requirement}: locked {version}"


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_version_has_hashes_and_nothing_points_elsewhere(lock: str):
    text = (ROOT / lock).read_text()
    assert not re.search(r"^(--|-e|-c|git\+|https?:|file:)", text, re.MULTILINE)
    for name, version in pinned(lock).items():
        assert f"{name}=={version} \\\n    --hash=sha256:" in text


def test_ci_runs_make_test_and_nothing_more():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text().splitlines()[-1] == "exec make test"


def test_make_alone_explains_every_target():
    shown = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = re.findall(r"^\.PHONY: (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {"setup", "demo", "test", "kafka", "e2e"} <= set(targets)
    for target in targets:
        assert re.search(rf"^  {target} +\S", shown, re.MULTILINE), f"{target} has no ## line"


@pytest.mark.parametrize("script", [".ci/run", "deploy/lock.sh"])
def test_shell_scripts_are_well_formed(script: str):
    assert subprocess.run(["bash", "-n", ROOT / script], check=False).returncode == 0


def test_every_setting_is_read_somewhere_or_is_listed_as_unread():
    folders = [ROOT / "app", ROOT / "agents", ROOT / "tables"]
    files = [path for folder in folders for path in folder.rglob("*.py") if path.parent.name != "settings"]
    source = "\n".join(path.read_text() for path in [*files, ROOT / "app" / "settings" / "kafka.py"])
    roles = {path for path in FIELDS if path[0] == "topics"}  # read by the name of the role
    unread = {path for path in FIELDS if path not in roles and not re.search(rf"\.{path[1]}\b", source)}
    assert unread == UNREAD


def test_variables_of_the_image_are_settings():
    image = (ROOT / "deploy" / "Dockerfile").read_text()
    given = dict(re.findall(r"(LLM_OPTIMIZER__\w+)=(\S+)", image))
    assert len(given) >= 2
    load(env=given)


def test_variables_of_the_compose_file_are_understood():
    compose = (ROOT / "docker-compose.yml").read_text()
    optimizer = compose.partition("services:")[0]
    assert set(re.findall(r"^    ([A-Z_]+):", optimizer, re.MULTILINE)) <= set(ALIASES)


def test_the_image_copies_only_what_reaches_the_build():
    allowed = {
        line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    }
    copied = re.findall(r"^COPY (?!--)(.+) \S+$", (ROOT / "deploy" / "Dockerfile").read_text(), re.MULTILINE)
    sources = {source for line in copied for source in line.split()}
    assert sources == allowed
    assert all((ROOT / source).exists() for source in sources)


def test_the_changelog_has_a_place_for_what_comes_next():
    assert "\n## [Unreleased]\n" in (ROOT / "CHANGELOG.md").read_text()
