"""What the one-file clients share is the same text in each: neither can drift from the other, nor from the vectors."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FILES = ("clients/litellm/llm_optimizer_litellm.py", "clients/portkey/llm_optimizer_portkey.py")
BEGIN, END = "# ==== shared by the clients", "# ==== end of what the clients share"
GOLDEN = json.loads((ROOT / "tests" / "golden" / "assign.json").read_text())


def load(path: str) -> Any:
    """A client's file as a module."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shared(path: str) -> str:
    """The part between the two marks."""
    before, _, rest = (ROOT / path).read_text().partition(BEGIN)
    part, _, after = rest.partition(END)
    assert before and len(part) > 8_000 and after, f"{path}: the marks are gone"
    return part


def test_what_is_shared_is_the_same_text():
    assert shared(FILES[0]) == shared(FILES[1]), "change both files alike"


@pytest.mark.parametrize("path", FILES)
@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["name"])
def test_every_client_draws_as_the_vectors_say(path, case):
    drawer = load(path).Split(case["split"])
    for segment, drawn in case["assignments"].items():
        for identity, (slice_, arm, *_) in drawn.items():
            assert drawer.draw(identity, segment) == (slice_, arm)


@pytest.mark.parametrize("path", FILES)
def test_it_imports_nothing_of_ours(path):
    imports = [line for line in (ROOT / path).read_text().splitlines() if line.startswith(("import ", "from "))]
    assert not [line for line in imports if line.split()[1].split(".")[0] in {"app", "agents", "tables", "msgspec"}]
