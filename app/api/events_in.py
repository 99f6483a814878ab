"""Telemetry by HTTP: each event is read as the worker would read it; the good go to their topic, the bad come back.

Nothing is kept here: an event is accepted when the broker has it.
"""

import asyncio
import threading
from typing import Any

import msgspec
from confluent_kafka import KafkaError, KafkaException, Producer

from app.adapters.codec import make_decode
from app.adapters.codec.encode import STRUCTURED
from app.adapters.kafka.security import librdkafka
from app.api.identity import Identity
from app.api.problems import Problem
from app.core.events import FeedbackEvent, Rejected, ResponseEvent
from app.settings import Settings

QUEUE = 20_000
DELIVERY_MS = 10_000


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """One event that was not taken: its place in the request, why, and where in it."""

    index: int
    reason: str
    detail: str


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """How many events are in the log now, and which are not. Send only the refused ones again, mended."""

    accepted: int
    rejected: list[Refused]


class EventsIn:
    """A producer for telemetry. Mutable. Close it."""

    def __init__(self, settings: Settings) -> None:
        self._topics = settings.topics
        self._decode = make_decode()
        self._producer = Producer(
            librdkafka(settings.kafka)
            | {
                "log_level": 2,
                "acks": "all",
                "enable.idempotence": True,
                "linger.ms": 5,
                "partitioner": "murmur2_random",
                "queue.buffering.max.messages": QUEUE,
                "delivery.timeout.ms": DELIVERY_MS,
            }
        )
        self._closed = threading.Event()
        self._poller = threading.Thread(target=self._poll, name="events-in", daemon=True)
        self._poller.start()
        self.accepted = self.rejected = 0

    def close(self) -> None:
        """Wait for what is on its way, then end."""
        self._closed.set()
        self._producer.flush(DELIVERY_MS / 1000)
        self._poller.join(2.0)

    async def take(self, who: Identity, values: list[bytes]) -> Taken:
        """Check and send ``values`` (structured CloudEvents). ``Problem`` 503 when the broker takes none."""
        loop, rejected, waiting = asyncio.get_running_loop(), [], []
        for index, value in enumerate(values):
            event = self._decode(value, ())
            why = _why_not(who, event)
            if why is not None:
                rejected.append(Refused(index=index, reason=why.reason, detail=why.detail))
                continue
            done: asyncio.Future[KafkaError | None] = loop.create_future()
            waiting.append((index, done))
            self._send(event, value, done)
        errors = await asyncio.gather(*(done for _, done in waiting))
        failed = [(index, error) for (index, _), error in zip(waiting, errors, strict=True) if error is not None]
        if failed and len(failed) == len(waiting):
            raise Problem(503, "broker_unavailable", f"no event was written: {failed[0][1].str()}", retry_after_s=5)
        rejected += [Refused(index=i, reason="not_written", detail=f"{e.str()}: send it again") for i, e in failed]
        self.accepted += len(waiting) - len(failed)
        self.rejected += len(rejected)
        return Taken(accepted=len(waiting) - len(failed), rejected=sorted(rejected, key=lambda r: r.index))

    def _send(self, event: Any, value: bytes, done: "asyncio.Future[KafkaError | None]") -> None:
        topic = self._topics.responses if isinstance(event, ResponseEvent) else self._topics.feedback
        key = event.data.request_id if isinstance(event, ResponseEvent) else ""
        loop = done.get_loop()

        def settle(error: KafkaError | None) -> None:
            if not done.done():
                done.set_result(error)

        def delivered(error: KafkaError | None, _: object) -> None:
            loop.call_soon_threadsafe(settle, error)

        try:
            self._producer.produce(
                topic, key=(key or event.id).encode(), value=value, headers=list(STRUCTURED), on_delivery=delivered
            )
        except BufferError:
            done.set_result(KafkaError(KafkaError._QUEUE_FULL))  # noqa: SLF001  # librdkafka's name for it
        except KafkaException as error:
            done.set_result(error.args[0])

    def _poll(self) -> None:
        while not self._closed.is_set():
            self._producer.poll(0.1)


def _why_not(who: Identity, event: Any) -> Rejected | None:
    if isinstance(event, Rejected):
        return event
    if not isinstance(event, ResponseEvent | FeedbackEvent):
        return Rejected("not_telemetry", "only response.completed and feedback.recorded are taken here")
    service = event.data.service
    return None if who.may("send", service) else Rejected("forbidden", f"no right to send for {service!r}")
