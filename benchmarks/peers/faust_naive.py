"""faust-streaming as its manual shows it: an agent, a table, one write per event and window.

FAUST_TUNED=1: producer lingers 50 ms and batches 1 MiB (and uvloop, given on the command line).
"""

import logging
import os

import common
import faust
from common import Progress, bucket, decode, p95, record, second_of

tuned = {"producer_linger": 0.05, "producer_max_batch_size": 1 << 20} if os.environ.get("FAUST_TUNED") else {}
app = faust.App(
    common.RUN_ID,
    broker=f"kafka://{common.KAFKA}",
    store="memory://",
    topic_partitions=common.PARTITIONS,
    topic_replication_factor=1,
    consumer_auto_offset_reset="earliest",
    table_standby_replicas=0,
    topic_disable_leader=True,
    web_enabled=False,
    datadir=common.STATE_DIR,
    **tuned,
)
raw = {"key_type": bytes, "value_type": bytes, "key_serializer": "raw", "value_serializer": "raw"}
source = app.topic(common.IN_TOPIC, **raw)
target = app.topic(common.OUT_TOPIC, **raw)
panes = app.Table("panes", default=None, partitions=common.PARTITIONS)  # "service|model|size|start" -> sums, histogram
progress = Progress()
watermark: dict = {}
due: dict = {}
opened: dict = {}  # partition -> (size, start) -> keys


@panes.on_recover
def remember() -> None:
    opened.clear()
    for key, kept in panes.items():
        size, start = map(int, key.split("|")[2:])
        opened.setdefault(kept[7], {}).setdefault((size, start), set()).add(key)


async def close(partition: int, until_s: int) -> None:
    mine = opened.get(partition, {})
    for size, start in sorted(pane for pane in mine if sum(pane) <= until_s):
        for key in mine.pop((size, start)):
            *sums, histogram, _ = panes.pop(key)
            service, model = key.split("|")[:2]
            quantile = p95({int(index): n for index, n in histogram.items()}, sums[0])
            value = common.encode(record(service, model, size, start, sums, quantile))
            await target.send(key=f"{service}|{model}".encode(), value=value)


@app.agent(source)
async def aggregate(stream) -> None:
    async for message in stream.events():
        progress.begin()
        event = decode(message.value)
        answer, second, partition = event.data, second_of(event.time), message.message.partition
        if second > watermark.get(partition, 0):
            watermark[partition] = second
            if second - common.GRACE_S >= due.get(partition, 0):
                due[partition] = (second - common.GRACE_S) // 60 * 60 + 60
                await close(partition, second - common.GRACE_S)
        for size in common.SIZES_S:
            start = second - second % size
            key = f"{answer.service}|{answer.model}|{size}|{start}"
            pane = panes.get(key)
            if pane is None:
                pane = [0, 0, 0.0, 0.0, 0, 0.0, {}, partition]
                opened.setdefault(partition, {}).setdefault((size, start), set()).add(key)
            panes[key] = added(pane, answer)
        progress.seen()


def added(pane: list, answer: common.Answer) -> list:
    pane[0] += 1
    pane[1] += answer.status != "ok"
    pane[2] += answer.latency_ms
    pane[3] += answer.cost_usd
    pane[4] += answer.tokens.input + answer.tokens.output
    pane[5] = max(pane[5], answer.latency_ms)
    index = str(bucket(answer.latency_ms))
    pane[6][index] = pane[6].get(index, 0) + 1
    return pane


if __name__ == "__main__":
    logging.getLogger("aiokafka").setLevel(logging.WARNING)
    app.main()
