"""Reads public topics without a consumer group: nothing is committed, so any number of readers see everything.

Used by the commands that print decisions and by the simulator, which watches the optimizer from outside.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Self

import msgspec

Place = tuple[str, int]
"""Topic and partition."""
OFFSET_BEGINNING = -2
METADATA_TIMEOUT_S = 10.0
LEADER_PAUSE_S = 0.2
QUIET = 2
"""What fails comes back as an error of the call; librdkafka would repeat it on standard error."""


class SubscribeError(RuntimeError):
    """The topics could not be read; the message says which and what to do."""


class Seen(msgspec.Struct, frozen=True, gc=False):
    """One record. For a binary-mode CloudEvent ``type``, ``id``, ``time`` are its attributes, else they are empty."""

    topic: str
    partition: int
    offset: int
    append_ms: int
    key: str
    type: str
    id: str
    time: str
    headers: tuple[tuple[str, bytes], ...]
    value: bytes


class Subscriber:
    """Reads ``topics`` from their beginning, from ``start`` (topic and partition -> offset; what retention has deleted
    is passed over), or only the newest ``tail`` records of each partition (one number, or one for each topic).

    Close it, or use it in a ``with`` block. With ``tail``, ``ahead`` is how many records lay before it at first, and
    ``cut`` the topics of which older ones are passed over.
    """

    def __init__(
        self,
        configuration: Mapping[str, Any],
        topics: Iterable[str],
        *,
        tail: int | Mapping[str, int] | None = None,
        start: Mapping[Place, int] = MappingProxyType({}),
    ) -> None:
        from confluent_kafka import Consumer

        self._consumer = Consumer(
            {
                "log_level": QUIET,
                **configuration,
                "group.id": "llm-optimizer-reader",  # the client wants a name; it never joins or commits
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 20,
                "fetch.error.backoff.ms": 50,
                "enable.partition.eof": True,
            }
        )
        self._partitions = [place for topic in topics for place in self._places(topic)]
        for place in self._partitions:
            place.offset = start.get((place.topic, place.partition), OFFSET_BEGINNING)
        self.ahead = 0
        self.cut: set[str] = set()
        if tail is not None:
            for place in self._partitions:
                self._only_newest(place, tail if isinstance(tail, int) else tail[place.topic])
        self._consumer.assign(self._partitions)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._consumer.close()

    def bounds(self, *, cached: bool = False) -> dict[Place, tuple[int, int]]:
        """First offset kept and end of the log of every partition, as the broker says now.

        ``cached``: as the last fetch said, without asking; negative where nothing was fetched yet.
        """
        return {
            (place.topic, place.partition): self._consumer.get_watermark_offsets(place, cached=True)
            if cached
            else self._ends(place)
            for place in self._partitions
        }

    def poll(self, *, limit: int = 2_000, timeout_s: float = 0.1) -> list[Seen]:
        """Up to ``limit`` new records, waiting at most ``timeout_s`` for the first."""
        return [_seen(record) for record in self._records(limit, timeout_s) if record.error() is None]

    def until_now(self, *, timeout_s: float = 30.0) -> Iterator[Seen]:
        """Everything up to the end of the topics, once; ``SubscribeError`` when nothing comes for ``timeout_s``."""
        left = {(place.topic, place.partition) for place in self._partitions}
        give_up_s = time.monotonic() + timeout_s
        while left:
            records = self._records(2_000, 0.2)
            if records:
                give_up_s = time.monotonic() + timeout_s
            elif time.monotonic() > give_up_s:
                raise SubscribeError(
                    f"{len(left)} partitions not read to their end, and nothing came for {timeout_s:.0f} s: ask "
                    "`llm-optimizer doctor` whether the brokers answer"
                )
            for record in records:
                if record.error() is None:
                    yield _seen(record)
                else:  # the end of this partition
                    left.discard((record.topic(), record.partition()))

    def _only_newest(self, place: Any, tail: int) -> None:
        low, high = self._ends(place)
        place.offset = max(low, high - tail)
        self.ahead += high - place.offset
        if place.offset > low:
            self.cut.add(place.topic)

    def _ends(self, place: Any) -> tuple[int, int]:
        """First offset and end of a partition. Right after a topic was made its leader may not be known yet."""
        from confluent_kafka import KafkaException

        give_up_s = time.monotonic() + METADATA_TIMEOUT_S
        while True:
            try:
                found: tuple[int, int] = self._consumer.get_watermark_offsets(place, METADATA_TIMEOUT_S, cached=False)
                return found
            except KafkaException as error:
                if time.monotonic() > give_up_s:
                    raise SubscribeError(
                        f"{place.topic}-{place.partition}: {error.args[0].str()}; see `llm-optimizer doctor`"
                    ) from error
            time.sleep(LEADER_PAUSE_S)

    def _records(self, limit: int, timeout_s: float) -> list[Any]:
        """Records and ends of partitions. ``consume`` alone would wait for ``limit`` of them."""
        first = self._consumer.poll(timeout_s)
        if first is None:
            return []
        records = [first, *self._consumer.consume(limit - 1, 0)]
        for record in records:
            error = record.error()
            if error is not None and error.name() != "_PARTITION_EOF":
                raise SubscribeError(f"{record.topic()}-{record.partition()}: {error}")
        return records

    def _places(self, topic: str) -> list[Any]:
        from confluent_kafka import KafkaException, TopicPartition

        try:
            listed = self._consumer.list_topics(topic, METADATA_TIMEOUT_S).topics[topic]
        except KafkaException as error:
            raise SubscribeError(
                f"no broker answers: {error.args[0].str()}; check kafka.bootstrap_servers (`llm-optimizer doctor`)"
            ) from error
        if listed.error is not None or not listed.partitions:
            raise SubscribeError(f"topic {topic} is not there: make the topics with `llm-optimizer topics apply`")
        return [TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in listed.partitions]


def _seen(record: Any) -> Seen:
    headers = tuple((name, value or b"") for name, value in record.headers() or ())
    attributes = dict(headers)
    return Seen(
        record.topic(),
        record.partition(),
        record.offset(),
        record.timestamp()[1],
        _text(record.key()),
        _text(attributes.get("ce_type")),
        _text(attributes.get("ce_id")),
        _text(attributes.get("ce_time")),
        headers,
        record.value() or b"",
    )


def _text(raw: bytes | None) -> str:
    return (raw or b"").decode("utf-8", "replace")
