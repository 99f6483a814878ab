"""The client's wheel works by itself: no optimizer, no other package."""

import subprocess
import sys
from pathlib import Path

import pytest
from hatchling import build

ROOT = Path(__file__).parents[3]
USES = """
import sys
sys.path.insert(0, sys.argv[1])
import llm_optimizer_client as c
assert c.__file__.startswith(sys.argv[1])
client = c.Client(transport=c.MemoryTransport(), spill=sys.argv[2])
assert client.response("chat", "m", 1.0) and client.close() and client.counts().sent == 1
try:
    c.Client(kafka="h:1")
except RuntimeError as error:
    assert "[kafka]" in str(error)
print(c.__version__, sorted({name.partition(".")[0] for name in sys.modules} & {"app", "msgspec", "pydantic", "openai"}))
"""


@pytest.mark.simulation
def test_the_wheel_works_with_pythons_own_library_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT / "clients" / "python")
    wheel = tmp_path / build.build_wheel(str(tmp_path))
    command = [sys.executable, "-I", "-S", "-c", USES, str(wheel), str(tmp_path / "spill")]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert said.stdout.strip() == "0.1.0 []", said.stderr


def test_it_is_a_distribution_of_its_own_with_the_projects_version():
    import tomllib

    theirs, ours = (
        tomllib.loads((ROOT / path).read_text())["project"]
        for path in ("clients/python/pyproject.toml", "pyproject.toml")
    )
    assert theirs["dependencies"] == []
    assert theirs["version"] == ours["version"]
