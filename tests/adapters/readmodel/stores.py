"""The two stores of the read model behind one way to open them, and a PostgreSQL of the suite's own."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from app.adapters.readmodel.sqlite import SqliteStore
from app.adapters.readmodel.store import Store
from tests.adapters.readmodel.worlds import ABOUT, ROLES
from tests.e2e.harness.broker import ROOT, free_port

SCRIPT = ROOT / "deploy" / "postgres" / "postgres.py"
BOTH = ("sqlite", pytest.param("postgres", marks=pytest.mark.e2e))
"""Parameters of a fixture: PostgreSQL only where servers are started."""
Open = Callable[..., Store]
_NUMBERS = count()


@contextmanager
def server() -> Iterator[str]:
    """The address of a database that is empty and goes away; skips, with the reason, where none can be started."""
    why_not = subprocess.run([sys.executable, SCRIPT, "available"], capture_output=True, text=True, check=False)
    if why_not.returncode:
        pytest.skip(f"no PostgreSQL here: {why_not.stderr.strip()}")
    home = tempfile.mkdtemp(prefix="postgres-")
    env = {**os.environ, "POSTGRES_PORT": str(free_port()), "POSTGRES_HOME_DIR": home}
    try:
        started = subprocess.run([sys.executable, SCRIPT, "start"], env=env, check=True, capture_output=True, text=True)
        yield started.stdout.strip()
    finally:
        subprocess.run([sys.executable, SCRIPT, "stop"], env=env, check=False, stdout=subprocess.DEVNULL)
        shutil.rmtree(home, ignore_errors=True)


def opener(request: Any, kind: str, folder: Path) -> Open:
    """``open(name="m", about=ABOUT)``: the store of that name, the same one each time."""
    if kind == "sqlite":
        return lambda name="m", about=ABOUT: SqliteStore(folder / f"{name}.sqlite", ROLES, about)
    from app.adapters.readmodel.postgres import PostgresStore

    dsn, number = request.getfixturevalue("postgres"), next(_NUMBERS)
    return partial(_postgres, PostgresStore, dsn, number)


def _postgres(store: Any, dsn: str, number: int, name: str = "m", about: dict[str, str] = ABOUT) -> Store:
    made: Store = store(dsn, f"t{number}_{name}", ROLES, about)
    return made


def plain(row: Any) -> dict[str, Any]:
    """A row without the order in which it came."""
    return {name: value for name, value in dict(row).items() if name != "rowid"}
