"""The broker of the suite: ``LLM_OPTIMIZER_TEST_KAFKA`` = ``mock`` (default), ``real`` (started here) or ``host:port``."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import msgspec
import pytest

from app.adapters.kafka.mock import MockCluster

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "deploy" / "kafka" / "kafka.py"
VARIABLE = "LLM_OPTIMIZER_TEST_KAFKA"


class Broker(msgspec.Struct, frozen=True):
    """Where the broker is, and whether it is a real one (topics with configuration, LogAppendTime, whole logs)."""

    address: str
    real: bool


def asked() -> str:
    """What the environment asks for."""
    return os.environ.get(VARIABLE, "mock")


@contextmanager
def broker() -> Iterator[Broker]:
    """The broker of this session; a real one that is started here is also ended here."""
    choice = asked()
    if choice == "mock":
        with MockCluster() as cluster:
            yield Broker(cluster.bootstrap_servers, real=False)
    elif choice == "real":
        with started() as address:
            yield Broker(address, real=True)
    else:
        yield Broker(choice, real=True)


@contextmanager
def started(more: Mapping[str, str] = MappingProxyType({})) -> Iterator[str]:
    """A real broker of its own, with ``more`` settings of the script; skips, with the reason, where there is none."""
    why_not = subprocess.run([sys.executable, SCRIPT, "available"], capture_output=True, text=True, check=False)
    if why_not.returncode:
        pytest.skip(f"no real Kafka here: {(why_not.stderr or why_not.stdout).strip()}")
    home, port = tempfile.mkdtemp(prefix="kafka-"), free_port()
    env = {**os.environ, "KAFKA_PORT": str(port), "KAFKA_HOME_DIR": home, **more}
    try:
        subprocess.run([sys.executable, SCRIPT, "start"], env=env, check=True, stdout=subprocess.DEVNULL)
        yield f"127.0.0.1:{port}"
    finally:
        subprocess.run([sys.executable, SCRIPT, "stop"], env=env, check=False, stdout=subprocess.DEVNULL)
        shutil.rmtree(home, ignore_errors=True)


def free_port() -> int:
    """A port of the loopback address that nobody listens on now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
