"""Write ``row-<version>.msgpack``: a row as this version stores it. Run it once per release, and never overwrite one."""

import sys
from pathlib import Path

import msgspec

from app import __version__
from app.core.document import from_object
from tests.core.loop import Arm, Loop

HERE = Path(__file__).parent


def made() -> Loop:
    """A service in the middle of a trial, after a promotion."""
    arms = [{"name": "big"}, {"name": "small"}, {"name": "tiny"}]
    loop = Loop({"big": Arm(), "small": Arm(cost=0.002), "tiny": Arm(cost=0.001)}, requests=300)
    loop.configure(from_object({"service": "chat", "mode": "auto", "policy": "mix", "arms": arms}))
    return loop.run(80, lambda one: bool(one.row.admitted and one.row.trial))


if __name__ == "__main__":
    path = HERE / f"row-{__version__}.msgpack"
    if path.exists() and "--force" not in sys.argv:
        sys.exit(f"{path.name} exists: rows of a released version must stay readable as they are")
    path.write_bytes(msgspec.msgpack.encode(made().row))
