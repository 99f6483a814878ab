"""Bytewax: fold_window per size, with its recovery store (snapshots in SQLite, given on the command line)."""

from datetime import UTC, datetime, timedelta

import bytewax.operators as op
import common
import msgspec
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.operators import windowing
from common import Answer, Progress, Sums

progress = Progress()


class Event(msgspec.Struct, gc=False):
    time: datetime
    data: Answer


decode = msgspec.json.Decoder(Event).decode


def decoded(messages: list) -> list:
    if messages:
        progress.begin()
    events = [decode(message.value) for message in messages]
    progress.seen(len(messages))
    return [(f"{event.data.service}|{event.data.model}", event) for event in events]


def added(sums: Sums, event: Event) -> Sums:
    sums.add(event.data)
    return sums


def never(one: Sums, other: Sums) -> Sums:
    raise NotImplementedError("tumbling windows do not merge")


def written(size: int):
    def make(keyed) -> KafkaSinkMessage:
        key, (number, sums) = keyed
        return KafkaSinkMessage(key.encode(), sums.record(*key.split("|"), size, number * size))

    return make


flow = Dataflow("bench")
messages = op.input("in", flow, KafkaSource([common.KAFKA], [common.IN_TOPIC], tail=True, batch_size=10_000))
keyed = op.flat_map_batch("decode", messages, decoded)
clock = windowing.EventClock(  # no system time: what is read again must close as it did
    ts_getter=lambda event: event.time,
    wait_for_system_duration=timedelta(seconds=common.GRACE_S),
    to_system_utc=lambda _: None,
)
sink = KafkaSink([common.KAFKA], common.OUT_TOPIC)
for size in common.SIZES_S:
    windower = windowing.TumblingWindower(length=timedelta(seconds=size), align_to=datetime(1970, 1, 1, tzinfo=UTC))
    panes = windowing.fold_window(f"w{size}", keyed, clock, windower, Sums, added, never, ordered=False)
    op.output(f"out{size}", op.map(f"record{size}", panes.down, written(size)), sink)
