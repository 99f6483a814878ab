"""What the global options say; every command gets it with ``@click.pass_obj``."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from app.settings import Loaded, Settings


class Options(msgspec.Struct, frozen=True):
    """``--config``, ``--set`` and ``--debug`` of the command line. ``flags`` are keyed ``section.field``."""

    config: Path | None = None
    flags: Mapping[str, str] = {}
    debug: bool = False

    def loaded(self, **flags: object) -> "Loaded":
        """The settings with their origins. ``flags`` are a command's own options (``kafka__group="x"``), which win over
        ``--set``; None means not given. SettingsError when they cannot be used.
        """
        from app.settings import load_with_origins

        own = {name.replace("__", "."): str(value) for name, value in flags.items() if value is not None}
        return load_with_origins(self.config, os.environ, {**self.flags, **own})

    def settings(self, **flags: object) -> "Settings":
        """``loaded`` without the origins."""
        return self.loaded(**flags).settings

    def command(self, *words: str) -> str:
        """A command line that runs ``words`` with the same global options, to be shown to a person."""
        options = ["--config", str(self.config)] if self.config else []
        for name, value in self.flags.items():
            options += ["--set", f"{name}={value}"]
        return shlex.join(["llm-optimizer", *options, *words])
