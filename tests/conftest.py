"""Common to all tests: an environment without the optimizer's variables, and bounded property tests."""

import os
from collections.abc import Iterator

import hypothesis
import pytest

from app.settings.aliases import ALIASES
from app.settings.sources import CONFIG_VARIABLE, PREFIX

hypothesis.settings.register_profile("house", deadline=None, max_examples=60, derandomize=True)
hypothesis.settings.register_profile("deep", deadline=None, max_examples=2000, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "house"))


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the developer's shell says about settings must not reach a test."""
    for name in list(os.environ):
        if name.startswith(PREFIX) or name == CONFIG_VARIABLE or name in ALIASES:
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a PostgreSQL of this session; skips, with the reason, where none can be started."""
    from tests.adapters.readmodel.stores import server

    with server() as address:
        yield address
