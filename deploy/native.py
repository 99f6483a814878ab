"""Compile the C twins of the hottest loops: every ``app/**/native/*.c`` becomes the module of that name beside it.

    .venv/bin/python deploy/native.py

Also the build hook of the wheel (``[tool.hatch.build.hooks.custom]``), so ``pip install`` does it. Without a C compiler
or Python's headers nothing is compiled and the same code runs in Python: slower, with the same results.
"""

import os
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parents[1]
FLAGS = ("-std=c11", "-O2", "-fPIC", "-Wall", "-Wextra", "-Werror=implicit-function-declaration", "-ffp-contract=off")
"""No fused multiply-add: sums must have the same bits on every machine, and those of Python."""


class CannotCompileError(RuntimeError):
    """There is no compiler, or it failed; the message says which."""


def sources(root: Path = ROOT) -> Sequence[Path]:
    """The C files that are modules, in order."""
    return sorted((root / "app").glob("**/native/*.c"))


def module_of(source: Path) -> Path:
    """Where the module of ``source`` lies for the Python that runs this."""
    return source.with_suffix(str(sysconfig.get_config_var("EXT_SUFFIX")))


def compile_one(source: Path) -> Path:
    """The compiled module of ``source``; an older one is replaced in one step. CannotCompileError as it says."""
    include = sysconfig.get_path("include")
    if not (Path(include) / "Python.h").exists():
        raise CannotCompileError(f"no Python.h in {include}: install Python's development files")
    made = module_of(source)
    draft = made.with_suffix(f".{os.getpid()}")
    shared = ("-bundle", "-undefined", "dynamic_lookup") if sys.platform == "darwin" else ("-shared",)
    compiler = shlex.split(os.environ.get("CC") or str(sysconfig.get_config_var("CC") or "cc"))
    try:
        done = subprocess.run(
            [*compiler, *FLAGS, *shared, f"-I{include}", str(source), "-lm", "-o", str(draft)],
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        raise CannotCompileError(f"no C compiler: {error}") from error
    if done.returncode:
        draft.unlink(missing_ok=True)
        raise CannotCompileError(f"{source.name}: {compiler[0]} ended with {done.returncode}\n{done.stderr}")
    sys.stderr.write(done.stderr)
    draft.replace(made)
    return made


class CustomBuildHook(BuildHookInterface[BuilderConfig]):
    """Puts the compiled modules beside their sources, and into the wheel."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002  # hatchling's signature
        """Compile; a wheel with compiled modules is of this platform, one without is of any."""
        try:
            made = [compile_one(source) for source in sources(Path(self.root))]
        except CannotCompileError as error:
            sys.stderr.write(f"the hot loops will run in Python, because they cannot be compiled: {error}\n")
            return
        build_data["artifacts"] += [path.relative_to(self.root).as_posix() for path in made]
        if made:
            build_data["pure_python"], build_data["infer_tag"] = False, True


def main() -> int:
    """Compile all, say what was made; 1 when something cannot be compiled."""
    try:
        for source in sources():
            sys.stdout.write(f"{compile_one(source).relative_to(ROOT)}\n")
    except CannotCompileError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
