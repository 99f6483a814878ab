"""The reference gateway as a process of its own, over gRPC: it dies with its state, comes back, and has the newest."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from app.adapters.gateways.configuration import ConfigurationUpdate, split_of
from app.adapters.proto import optimization_actuator_pb2 as pb
from app.adapters.proto import optimization_actuator_pb2_grpc as pb_grpc
from app.core.split import Split, encode
from tests.core.splits import split, trial
from tests.e2e.harness.broker import ROOT, Broker, free_port
from tests.e2e.harness.deployment import deploy
from tests.e2e.harness.waits import until
from tests.e2e.test_actuate import actuator, outcomes, publish

pytestmark = pytest.mark.e2e


@contextmanager
def gateway(port: int, log: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "app.sim.orchestrator", "--port", "0", "--grpc-port", str(port)]
    with log.open("ab") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)
    try:
        yield
    finally:
        process.kill()
        process.wait(60)


class Client:
    def __init__(self, port: int) -> None:
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self._stub: Any = pb_grpc.OptimizationActuatorStub(self._channel)

    def held(self) -> Split | None:
        try:
            answer = self._stub.GetCurrentConfiguration(pb.ConfigurationQuery(service_id="bot"), timeout=20)
        except grpc.RpcError:
            return None
        return split_of(ConfigurationUpdate("bot", dict(answer.configuration)))

    def edit(self, one: Split) -> None:
        """What a person does at the gateway: other content under the same version."""
        answer = self._stub.GetCurrentConfiguration(pb.ConfigurationQuery(service_id="bot"), timeout=20)
        configuration = {"split": encode(one).decode()}
        self._stub.UpdateConfiguration(
            pb.ConfigurationUpdateRequest(service_id="bot", configuration=configuration, if_match=answer.etag),
            timeout=20,
        )

    def close(self) -> None:
        self._channel.close()


def test_a_gateway_that_comes_back_without_its_state_gets_the_newest_split_once(kafka: Broker, tmp_path: Path):
    port, web, log = free_port(), free_port(), tmp_path / "worker.log"
    deployment = deploy(
        kafka, "grpc", tmp_path, gateway__kind="orchestrator-grpc", gateway__url=f"http://127.0.0.1:{port}",
        gateway__attempts="1", gateway__timeout_s="1", actuate__reconcile_s="0.5", web__port=str(web),
    )  # fmt: skip
    client = Client(port)

    def reaches(wanted: Split) -> None:
        until(lambda: client.held() == wanted, 120, f"the gateway does not get {wanted}; {log.read_text()}")

    publish(deployment, split(1))
    with actuator(deployment, log):
        with gateway(port, tmp_path / "gateway.log"):
            reaches(split(1))
            client.edit(split(1, weights={"*": {"small": 1.0}}))
            reaches(split(1))
        publish(deployment, trial(2))
        publish(deployment, trial(3))
        until(lambda: "circuit breaker of orchestrator-grpc: open" in log.read_text(), 120, "the breaker stays closed")
        with gateway(port, tmp_path / "gateway.log"):
            reaches(trial(3))
            until(lambda: len(set(outcomes(deployment))) >= 2, 120, f"no outcome; {log.read_text()}")
    client.close()
    said = set(outcomes(deployment))
    assert len({id_ for id_, _ in said}) == len(said), "an id with two payloads"
    assert not any(b'"version":2' in data for _, data in said), "a split that was never applied was accepted"
