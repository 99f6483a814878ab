"""The commands topic seen by a person: append one order, read all that were given. Blocking; for the CLI and the API.

Orders are CloudEvents in binary mode, key = service, so the orders of one service keep their sequence.
"""

import time
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from app.adapters.codec import make_decode
from app.adapters.kafka.security import librdkafka
from app.core.commands import COMMAND, Command, CommandError, Configure, parse, to_json
from app.core.document import ServiceDocument
from app.core.events import ControlEvent, rfc3339
from app.core.ids import stable_id
from app.settings import Settings

SOURCE = "/llm-optimizer/cli"
QUIET = {"log_level": 2}  # what fails is raised; librdkafka repeats it 20 times a second


class CommandLogError(RuntimeError):
    """The commands topic cannot be read or written; the message names it and what to do."""


class Logged(msgspec.Struct, frozen=True):
    """A command with its place: ``append_ms`` is the broker's time, ``offset`` its order within ``partition``."""

    command: Command
    append_ms: int
    partition: int
    offset: int


class CommandLog:
    """Every call opens and closes its own client. ``timeout_s`` bounds waiting for the broker without progress; None:
    the settings' ``kafka.request_timeout_s``.
    """

    def __init__(self, settings: Settings, *, source: str = SOURCE, timeout_s: float | None = None) -> None:
        self._kafka = settings.kafka
        self._topic = settings.topics.commands
        self._source = source
        self._timeout_s = timeout_s or settings.kafka.request_timeout_s

    def send(self, command: Command, *, id_: str = "", extensions: Mapping[str, str] = MappingProxyType({})) -> str:
        """Append ``command`` and wait until all replicas in sync have it; returns the id of its event.

        ``id_``: the id it shall have (a retry has the same). ``extensions``: more attributes, as ``authid``.
        """
        now_ns = time.time_ns()
        value = to_json(command)
        id_ = id_ or stable_id("command", value.hex(), now_ns)
        refused: list[KafkaError] = []
        timeout_ms = int(self._timeout_s * 1000)
        producer = Producer(
            librdkafka(self._kafka)
            | QUIET
            | {
                "acks": "all",
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "delivery.timeout.ms": timeout_ms,
            }
        )
        producer.produce(
            self._topic,
            key=command.service.encode(),
            value=value,
            headers=self._headers(id_, now_ns, extensions),
            on_delivery=lambda error, _: refused.append(error) if error else None,
        )
        left = producer.flush(self._timeout_s)
        if left or refused:
            why = refused[0].str() if refused else f"no acknowledgement within {self._timeout_s:g} s"
            raise CommandLogError(f"the command was not written to {self._topic}: {why}. {self._advice()}")
        return id_

    def read(self) -> Iterator[Logged]:
        """Every valid command there is now, in order within each partition; others are passed over."""
        consumer = Consumer(
            librdkafka(self._kafka)
            | QUIET
            | {
                "group.id": f"{self._kafka.group}-reader",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 20,
            }
        )
        try:
            yield from self._to_the_end(consumer)
        except KafkaException as error:
            raise CommandLogError(f"cannot read {self._topic}: {error.args[0].str()}. {self._advice()}") from None
        finally:
            consumer.close()

    def newest_documents(self) -> dict[str, ServiceDocument]:
        """The last configured document of every service."""
        newest: dict[str, tuple[int, int, ServiceDocument]] = {}
        for logged in self.read():
            args = logged.command.args
            if isinstance(args, Configure):
                found = (logged.append_ms, logged.offset, args.document)
                service = args.document.service
                if service not in newest or newest[service][:2] < found[:2]:
                    newest[service] = found
        return {service: document for service, (_, _, document) in newest.items()}

    def _headers(self, id_: str, now_ns: int, extensions: Mapping[str, str]) -> list[tuple[str, str | bytes | None]]:
        attributes = {
            "ce_specversion": "1.0",
            "ce_type": COMMAND,
            "ce_source": self._source,
            "ce_id": id_,
            "ce_time": rfc3339(now_ns // 1_000_000_000),
            **{f"ce_{name}": text for name, text in extensions.items()},
            "content-type": "application/json",
        }
        return [(name, text.encode()) for name, text in attributes.items()]

    def _to_the_end(self, consumer: Consumer) -> Iterator[Logged]:
        open_partitions = set(self._partitions(consumer))
        consumer.assign([TopicPartition(self._topic, partition, 0) for partition in open_partitions])
        decode = make_decode()
        while open_partitions:
            message = consumer.poll(self._timeout_s)
            if message is None:
                raise CommandLogError(f"{self._topic}: nothing came for {self._timeout_s:g} s. {self._advice()}")
            error = message.error()
            if error is None:
                yield from _logged(message, decode)
            elif error.code() == KafkaError._PARTITION_EOF:  # librdkafka's name for the end
                open_partitions.discard(message.partition())
            else:
                raise KafkaException(error)

    def _partitions(self, consumer: Consumer) -> list[int]:
        found = consumer.list_topics(self._topic, self._timeout_s).topics[self._topic]
        if found.error is not None:
            raise KafkaException(found.error)
        return list(found.partitions)

    def _advice(self) -> str:
        return (
            f"Is {self._kafka.bootstrap_servers} the broker (kafka.bootstrap_servers), and has "
            "`llm-optimizer topics apply` made the topics?"
        )


def _logged(message: Message, decode: Any) -> Iterator[Logged]:
    event = decode(message.value(), message.headers() or ())
    if not isinstance(event, ControlEvent) or event.type != COMMAND:
        return
    try:
        command = parse(event.data)
    except CommandError:
        return
    yield Logged(command, message.timestamp()[1], message.partition() or 0, message.offset() or 0)
