"""Quix Streams: tumbling windows per key, RocksDB with changelog topics, at least once."""

from datetime import timedelta

import common
from common import Progress, bucket, p95, record, second_of
from quixstreams import Application

progress = Progress()
app = Application(
    broker_address=common.KAFKA,
    consumer_group=common.RUN_ID,
    auto_offset_reset="earliest",
    state_dir=common.STATE_DIR,
    loglevel="WARNING",
)


def event_ms(value, headers, timestamp, timestamp_type) -> int:
    progress.begin()
    return second_of(value["time"]) * 1000


source = app.topic(common.IN_TOPIC, key_deserializer="str", value_deserializer="json", timestamp_extractor=event_ms)
target = app.topic(common.OUT_TOPIC, key_serializer="str", value_serializer="json")
events = app.dataframe(source)


def opened(event: dict) -> list:
    return added([0, 0, 0.0, 0.0, 0, 0.0, {}], event)


def added(pane: list, event: dict) -> list:
    answer = event["data"]
    latency, tokens = answer["latency_ms"], answer["tokens"]
    pane[0] += 1
    pane[1] += answer["status"] != "ok"
    pane[2] += latency
    pane[3] += answer["cost_usd"]
    pane[4] += tokens["input"] + tokens["output"]
    pane[5] = max(pane[5], latency)
    index = str(bucket(latency))
    pane[6][index] = pane[6].get(index, 0) + 1
    return pane


def closed(size: int):
    def make(window, key, timestamp, headers) -> dict:
        service, model = key.split("|")
        *sums, histogram = window["value"]
        quantile = p95({int(index): n for index, n in histogram.items()}, sums[0])
        return record(service, model, size, window["start"] // 1000, sums, quantile)

    return make


for size in common.SIZES_S:
    grace = timedelta(seconds=common.GRACE_S)
    window = events.tumbling_window(timedelta(seconds=size), grace_ms=grace, name=f"w{size}")
    finals = window.reduce(reducer=added, initializer=opened).final(closing_strategy="partition")
    finals.apply(closed(size), metadata=True).to_topic(target)
events.update(lambda _: progress.seen())

if __name__ == "__main__":
    app.run()
