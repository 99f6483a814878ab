"""The example in docs/gateways.md is one the product takes."""

import re
from pathlib import Path

from app.adapters.gateways.configuration import decode, split_of
from app.adapters.gateways.soundness import unsound
from app.settings import load

DOCUMENT = (Path(__file__).parents[3] / "docs" / "gateways.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)


def test_the_configuration_update_is_sound():
    (found,) = blocks("json")
    split = split_of(decode(found))
    assert unsound(split) == ""
    assert split.trial is not None


def test_the_settings_are_read(tmp_path):
    config, kinds = tmp_path / "settings.toml", []
    for found in blocks("toml"):
        config.write_text(found)
        kinds.append(load(config, env={}).gateway.kind)
    assert kinds == ["orchestrator", "mlflow"]
