"""docs/policies.md is checked against the code: its names, its limits, its policies, its answer."""

import json
import re
from pathlib import Path

from app.core.commands import PolicyAnswer, parse
from app.core.document import parse_toml
from app.core.policy.names import FREE, NAMES

PAGE = (Path(__file__).parents[3] / "docs" / "policies.md").read_text()
ARMS = 'service = "chat"\n[[arms]]\nname = "a"\n[[arms]]\nname = "b"\n'
SEGMENTS = '[segments]\nby = "region"\nvalues = ["eu", "us"]\n'


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def table() -> str:
    rows = [f"| `{name}` | {kind} | {meaning} |" for name, (kind, meaning) in NAMES.items()]
    return "\n".join([*rows, *(f"| `{name}.<key>` | any | {meaning} |" for name, meaning in FREE.items())])


def test_the_names_of_the_page_are_those_of_the_code() -> None:
    assert table() in PAGE


def test_its_documents_can_be_read() -> None:
    for text in blocks("toml"):
        assert parse_toml(ARMS + SEGMENTS + text).arm_names == ("a", "b")


def test_its_answer_is_a_command() -> None:
    (answer,) = blocks("json")
    command = parse(json.dumps(json.loads(answer)).encode())
    assert isinstance(command.args, PolicyAnswer)
    assert command.args.violations[0].policy_id == "gdpr"
