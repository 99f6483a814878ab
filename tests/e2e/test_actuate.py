"""The actuator as a process: a split on the log reaches the gateway, through kill -9, and the kill switch works alone."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Producer

from app.adapters.codec import encode_output
from app.adapters.kafka.command_log import CommandLog
from app.core.change import split_output
from app.core.commands import Command, Freeze, Nothing
from app.core.outputs import ACCEPTED
from app.core.split import Split
from app.sim.orchestrator_server import OrchestratorServer
from tests.core.splits import split, trial
from tests.e2e.harness.broker import ROOT, Broker
from tests.e2e.harness.deployment import Deployment, deploy
from tests.e2e.harness.topic import read
from tests.e2e.harness.waits import until

pytestmark = pytest.mark.e2e


@contextmanager
def actuator(deployment: Deployment, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker that only actuates; killed at the end."""
    command = [sys.executable, "-m", "app.cli.main", "worker", "--agents", "actuate"]
    with log.open("ab") as output:
        worker = subprocess.Popen(command, cwd=ROOT, env=dict(deployment.env), stdout=output, stderr=output)
    try:
        yield worker
    finally:
        worker.kill()
        worker.wait(60)


def publish(deployment: Deployment, one: Split) -> None:
    """What optimize writes for a new version."""
    record = encode_output(split_output(one, 1_700_000_000))
    producer = Producer({"bootstrap.servers": deployment.settings.kafka.bootstrap_servers})
    producer.produce(deployment.settings.topics.splits, record.value, record.key, headers=list(record.headers))
    assert producer.flush(20) == 0


def outcomes(deployment: Deployment) -> list[tuple[bytes, bytes]]:
    """(id, data) of every accepted outcome on the log."""
    messages = read(deployment.settings.kafka.bootstrap_servers, deployment.settings.topics.optimizations)
    headers = [dict(message.headers) for message in messages]
    return [
        (header["ce_id"], message.value)
        for header, message in zip(headers, messages, strict=True)
        if header["ce_type"] == ACCEPTED.encode()
    ]


def test_a_split_reaches_the_gateway_once_through_kill_9_and_freeze_reverts_it_alone(kafka: Broker, tmp_path: Path):
    with OrchestratorServer() as gateway:
        deployment = deploy(
            kafka,
            "actuate",
            tmp_path,
            gateway__kind="orchestrator",
            gateway__url=gateway.url,
            actuate__reconcile_s="0.5",
        )
        log = tmp_path / "worker.log"

        def reaches(wanted: Split) -> None:
            until(lambda: gateway.held("bot") == wanted, 120, f"the gateway does not get {wanted}; {log.read_text()}")

        publish(deployment, split(1))
        with actuator(deployment, log):
            reaches(split(1))
            publish(deployment, trial(2))
            reaches(trial(2))
        with actuator(deployment, log):
            until(lambda: len(outcomes(deployment)) >= 2, 120, f"no outcomes; {log.read_text()}")
            assert gateway.state.store.changes == 2
            CommandLog(deployment.settings).send(Command(service="bot", command="freeze", args=Freeze()))
            reaches(split(2, frozen=True))
            publish(deployment, trial(3))
            CommandLog(deployment.settings).send(Command(service="*", command="resume", args=Nothing()))
            reaches(trial(3))
            until(lambda: len(set(outcomes(deployment))) >= 4, 120, f"no outcome of version 3; {log.read_text()}")
        assert gateway.state.store.changes == 4
        said = set(outcomes(deployment))
        assert len({id_ for id_, _ in said}) == len(said), "an id with two payloads"
