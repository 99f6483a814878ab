"""The client's README is executed: each block of Python, in order, as one program."""

import asyncio
import re
from pathlib import Path
from typing import Any

from llama_index_instrumentation import get_dispatcher
from llm_optimizer_client import client as client_module
from llm_optimizer_client.settings import VARIABLES

from tests.api.harness import api, world
from tests.clients.python.providers import Provider

PACKAGE = Path(__file__).parents[3] / "clients" / "python"
README = (PACKAGE / "README.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


async def test_every_example_works_and_tells_what_it_says(tmp_path, monkeypatch):
    async with api(world(tmp_path)) as running, Provider() as provider:
        for name, value in {
            "LLM_OPTIMIZER_API": running.url,
            "LLM_OPTIMIZER_SPILL": str(tmp_path / "spill"),
            "OPENAI_BASE_URL": f"{provider.url}/v1",
            "OPENAI_API_KEY": "k",
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(client_module, "_default_client", None)
        names: dict[str, Any] = {}
        handlers = list(get_dispatcher().event_handlers)
        try:
            for block in BLOCKS:
                await asyncio.to_thread(exec, compile(block, "README.md", "exec"), names)
            assert await client_module.default_client().aclose(20)
        finally:
            get_dispatcher().event_handlers[:] = handlers
            await asyncio.to_thread(names["client"].close)
        kinds = [b"response.completed" in value for value in running.events.values]
        assert (kinds.count(True), kinds.count(False)) == (3, 2)
        assert provider.bodies[0]["messages"] == names["question"]


def test_three_lines_are_three_lines():
    assert len([line for line in BLOCKS[0].splitlines() if line]) == 3


def test_every_setting_of_the_environment_is_in_the_table():
    assert set(re.findall(r"`(LLM_OPTIMIZER_\w+)`", README)) == set(VARIABLES)


def test_links_lead_somewhere():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (PACKAGE / target).exists(), target
