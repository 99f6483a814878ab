"""The example in docs/gateways.md is one the product takes."""

import re
from pathlib import Path

from app.adapters.gateways.configuration import decode, split_of
from app.adapters.gateways.soundness import unsound
from app.settings import load

DOCUMENT = (Path(__file__).parents[3] / "docs" / "gateways.md").read_text()


def block(language):
    (found,) = re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)
    return found


def test_the_configuration_update_is_sound():
    split = split_of(decode(block("json")))
    assert unsound(split) == ""
    assert split.trial is not None


def test_the_settings_are_read(tmp_path):
    config = tmp_path / "settings.toml"
    config.write_text(block("toml"))
    settings = load(config, env={})
    assert settings.gateway.kind == "orchestrator"
    assert settings.actuate.deadline_s == 300
