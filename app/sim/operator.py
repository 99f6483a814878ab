"""Orders as an operator gives them: commands on ``llm.commands``, there for certain when ``send`` returns."""

from collections.abc import Mapping
from typing import Any

import msgspec

from app.core.commands import COMMAND, Command, to_json
from app.core.events import rfc3339
from app.sim.subscriber import QUIET

SOURCE = "/llm-optimizer/cli"


class SendError(RuntimeError):
    """A command was not written; the message says why and what to do."""


class Sent(msgspec.Struct, frozen=True):
    """Where a command was written. ``id`` is its CloudEvents id."""

    id: str
    service: str
    command: str
    topic: str
    partition: int
    offset: int


def send(
    configuration: Mapping[str, Any], topic: str, command: Command, *, id_: str, time_s: int, timeout_s: float = 15.0
) -> Sent:
    """Write ``command`` (binary mode, key = service) and wait until the broker has it. ``SendError`` otherwise."""
    from confluent_kafka import KafkaException, Producer

    reports: list[tuple[Any, Any]] = []
    producer = Producer(
        {
            "log_level": QUIET,
            **configuration,
            "enable.idempotence": True,
            "delivery.timeout.ms": int(timeout_s * 1000),
            "partitioner": "murmur2_random",  # as every other Kafka client: the orders of a service keep their order
        }
    )
    try:
        producer.produce(
            topic,
            value=to_json(command),
            key=command.service.encode(),
            headers=_headers(id_, time_s),
            on_delivery=lambda error, record: reports.append((error, record)),
        )
    except KafkaException as error:
        raise SendError(f"the command was not written to {topic}: {error}") from error
    producer.flush(timeout_s)
    if not reports:
        raise SendError(f"no broker took the command in {timeout_s:.0f} s; check kafka.bootstrap_servers")
    failure, record = reports[0]
    if failure is not None:
        raise SendError(f"the command was not written to {topic}: {failure}")
    return Sent(id_, command.service, command.command, topic, record.partition(), record.offset())


def _headers(id_: str, time_s: int) -> dict[str, str | bytes | None]:
    attributes = {
        "ce_specversion": "1.0",
        "ce_id": id_,
        "ce_source": SOURCE,
        "ce_type": COMMAND,
        "ce_time": rfc3339(time_s),
        "content-type": "application/json",
    }
    return {name: text.encode() for name, text in attributes.items()}
