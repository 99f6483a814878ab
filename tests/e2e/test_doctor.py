"""The doctor at a broker: what it says of its topics, its version and its clock."""

import threading
from pathlib import Path

import pytest
from confluent_kafka import Producer

from app.adapters.kafka.security import librdkafka
from app.cli import doctor_broker
from tests.e2e.harness.broker import Broker
from tests.e2e.harness.deployment import deploy

pytestmark = pytest.mark.e2e


def test_a_sound_broker_is_found_sound(kafka: Broker, tmp_path: Path):
    settings = deploy(kafka, "doctor", tmp_path).settings
    found = {finding.check: finding for finding in doctor_broker.broker(settings, "llm-optimizer topics apply")}
    assert {finding.result for finding in found.values()} == {"ok"}, found
    if kafka.real:
        assert "or newer" in found["kafka version"].found


def test_a_clock_is_compared_by_a_record_that_comes_while_the_doctor_listens(
    real: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(doctor_broker, "LISTEN_S", 60.0)
    settings = deploy(real, "clock", tmp_path).settings
    producer, done = Producer(librdkafka(settings.kafka)), threading.Event()

    def produce() -> None:
        while not done.is_set():
            producer.produce(settings.topics.responses, b"{}")
            producer.flush(10)
            done.wait(0.1)

    thread = threading.Thread(target=produce)
    thread.start()
    try:
        assert doctor_broker.clock(settings).found == "within 5 s of the broker's"
    finally:
        done.set()
        thread.join()
