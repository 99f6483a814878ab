"""TLS and SASL to a real broker: every client of ours gets through with the right words, and none with wrong ones."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from app.adapters.kafka.admin import AdminError, KafkaAdmin, apply, check
from app.adapters.kafka.command_log import CommandLog
from app.adapters.kafka.connection import aiokafka_connection
from app.adapters.kafka.security import librdkafka
from app.adapters.kafka.subscriber import Subscriber
from app.core.commands import Command, Nothing
from app.settings import Settings, load
from tests.api.authority import Authority
from tests.e2e.harness.broker import asked, free_port, started

pytestmark = pytest.mark.e2e
USER, PASSWORD = "optimizer", "correct-horse"


@pytest.fixture(scope="module")
def secured(tmp_path_factory: Any) -> Iterator[Mapping[str, str]]:
    """Settings that reach the secure listener of a broker of this module."""
    if asked() != "real":
        pytest.skip("needs a broker that is started here: LLM_OPTIMIZER_TEST_KAFKA=real")
    authority = Authority(tmp_path_factory.mktemp("tls"))
    authority.pair("server")
    port = str(free_port())
    more = {"SECURE_PORT": port, "SECURE_DIR": str(authority.folder), "SECURE_USER": f"{USER}:{PASSWORD}"}
    with started({f"KAFKA_{name}": value for name, value in more.items()} | {"KAFKA_JVM": "-Xmx384m"}):
        yield {
            "LLM_OPTIMIZER__KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{port}",
            "LLM_OPTIMIZER__KAFKA__USERNAME": USER,
            "LLM_OPTIMIZER__KAFKA__PASSWORD": PASSWORD,
            "LLM_OPTIMIZER__KAFKA__SSL_CAFILE": str(authority.cafile),
        }


def settings_of(secured: Mapping[str, str], **changed: str) -> Settings:
    return load(env={**secured, **{f"LLM_OPTIMIZER__KAFKA__{name.upper()}": v for name, v in changed.items()}})


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_topics_orders_reads_and_the_lane_get_through(secured: Mapping[str, str], mechanism: str) -> None:
    settings = settings_of(secured, sasl_mechanism=mechanism)
    assert settings.kafka.protocol == "SASL_SSL"
    admin = KafkaAdmin(settings)
    apply(settings, admin)
    assert check(settings, admin) == []
    order = Command(service="chat", command="pause", args=Nothing(), actor="ana")
    sent = CommandLog(settings, source="/test").send(order)
    asyncio.run(_produce(settings))
    with Subscriber(librdkafka(settings.kafka), [settings.topics.commands, settings.topics.responses]) as reader:
        found = list(reader.until_now())
    assert sent in {record.id for record in found}
    assert mechanism.encode() in {record.value for record in found}


async def _produce(settings: Settings) -> None:
    """By the client of the workers' lane."""
    producer = AIOKafkaProducer(**aiokafka_connection(settings.kafka))
    await producer.start()
    try:
        await producer.send_and_wait(settings.topics.responses, settings.kafka.sasl_mechanism.encode())
    finally:
        await producer.stop()


def test_a_wrong_password_another_authority_and_no_tls_are_refused(secured: Mapping[str, str], tmp_path: Path) -> None:
    other = Authority(tmp_path / "other", "somebody else")
    for wrong in (
        {"password": "wrong"},
        {"ssl_cafile": str(other.cafile)},
        {"username": "", "password": "", "ssl_cafile": "", "security_protocol": "plaintext"},
    ):
        with pytest.raises(AdminError) as error:
            KafkaAdmin(settings_of(secured, **wrong), timeout_s=2).cluster_id()
        assert PASSWORD not in str(error.value)
