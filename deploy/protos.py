"""Make the Python stubs of ``schemas/proto`` in ``app/adapters/proto``; a test compares what is checked in."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from grpc_tools import _proto, protoc

ROOT = Path(__file__).parents[1]
PROTOS = ROOT / "schemas" / "proto"
PACKAGE = "app.adapters.proto"
STUBS = ROOT.joinpath(*PACKAGE.split("."))
SIBLING = re.compile(r"^import (\w+_pb2) as", re.MULTILINE)
"""protoc takes its output folder for a top-level one."""


def generate(into: Path) -> Sequence[Path]:
    """The stubs of every proto in the folder ``into``, which exists. RuntimeError: protoc said what is wrong."""
    sources = sorted(path.name for path in PROTOS.glob("*.proto"))
    included = Path(next(iter(_proto.__path__)))
    outputs = (f"--{kind}_out={into}" for kind in ("python", "pyi", "grpc_python"))
    code = protoc.main(["protoc", f"-I{PROTOS}", f"-I{included}", *outputs, *sources])
    if code:
        raise RuntimeError(f"protoc ended with {code}; its complaint stands above")
    for stub in into.glob("*_pb2*.py*"):
        stub.write_text(SIBLING.sub(rf"from {PACKAGE} import \1 as", stub.read_text()))
    return sorted(into.glob("*_pb2*.py*"))


if __name__ == "__main__":
    for old in STUBS.glob("*_pb2*.py*"):
        old.unlink()
    for made in generate(STUBS):
        sys.stdout.write(f"{made.relative_to(ROOT)}\n")
