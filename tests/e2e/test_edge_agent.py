"""The reference Edge-Agent as a process of its own: it fetches from a worker's web port, and serves on without it."""

import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from app.core.split import Split
from tests.core.splits import split, trial
from tests.e2e.harness.broker import ROOT, Broker, free_port
from tests.e2e.harness.deployment import Deployment, deploy
from tests.e2e.harness.waits import until
from tests.e2e.test_actuate import actuator, outcomes, publish
from tests.e2e.test_gateway_process import Client

pytestmark = pytest.mark.e2e

KEY = "a key for the edge"


@contextmanager
def edge(port: int, grpc_port: int, worker_port: int, folder: Path) -> Iterator[None]:
    command = [
        sys.executable, "-m", "app.sim.edge_agent", "--port", str(port), "--grpc-port", str(grpc_port), "--every-s", "0.2",
        "--url", f"http://127.0.0.1:{worker_port}", "--key", KEY, "--cache", str(folder / "edge.json"),
    ]  # fmt: skip
    with (folder / "edge.log").open("ab") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)
    try:
        yield
    finally:
        process.kill()
        process.wait(10)


def routed_by(port: int) -> int:
    """Version by which the agent serves a request; -1: it serves none."""
    body = msgspec.json.encode({"service": "bot", "request_id": "r-1"})
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/route", body)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return int(msgspec.json.decode(answer.read())["version"])
    except OSError:
        return -1


def accepted(deployment: Deployment, version: int) -> bool:
    """Whether the log says that every agent holds ``version``."""
    return any(b'"version":%d' % version in data for _, data in outcomes(deployment))


def test_an_edge_agent_follows_and_goes_on_without_the_worker_and_over_its_own_restart(kafka: Broker, tmp_path: Path):
    port, grpc_port, web, log = free_port(), free_port(), free_port(), tmp_path / "worker.log"
    deployment = deploy(
        kafka, "edge", tmp_path, gateway__kind="desired", gateway__desired_key=KEY, web__port=str(web),
        actuate__reconcile_s="0.5",
    )  # fmt: skip
    client = Client(grpc_port)

    def serves(wanted: Split) -> None:
        until(lambda: routed_by(port) == wanted.version, 120, f"the agent does not serve {wanted}; {log.read_text()}")
        until(lambda: client.held() == wanted, 60, "gRPC does not say what is served")

    publish(deployment, split(1))
    with edge(port, grpc_port, web, tmp_path):
        with actuator(deployment, log):
            serves(split(1))
            publish(deployment, trial(2))
            serves(trial(2))
            until(lambda: accepted(deployment, 2), 120, f"not accepted; {log.read_text()}")
        assert routed_by(port) == 2
    client.close()
    with edge(port, free_port(), web, tmp_path):
        until(lambda: routed_by(port) == 2, 60, "after a restart, with nobody to ask, it serves nothing")
