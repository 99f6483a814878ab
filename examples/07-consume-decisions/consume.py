"""Follow what the optimizer decides: one line for each event of llm.optimizations.

    python consume.py          everything there is, then ends
    python consume.py --follow and what comes, until Ctrl-C

Needed: confluent-kafka, nothing of this package. Broker: LLM_OPTIMIZER__KAFKA__BOOTSTRAP_SERVERS, else 127.0.0.1:9092.
"""

import json
import os
import sys
from collections import OrderedDict
from collections.abc import Iterator

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

TOPIC = "llm.optimizations"
REMEMBERED = 10_000


def messages(consumer: Consumer, *, stay: bool) -> Iterator[Message]:
    """Every record of the topic, up to its present end or without end. No group: nothing is committed."""
    partitions = consumer.list_topics(TOPIC, 10).topics[TOPIC].partitions
    consumer.assign([TopicPartition(TOPIC, partition, 0) for partition in partitions])
    unread = set(partitions)
    while unread or stay:
        message = consumer.poll(1.0)
        if message is None:
            continue
        error = message.error()
        if error is None:
            yield message
        elif error.code() == KafkaError._PARTITION_EOF:
            unread.discard(message.partition())
        else:
            raise KafkaException(error)


def once(found: Iterator[Message]) -> Iterator[tuple[str, dict[str, object]]]:
    """(type, data) of each event. An id may come twice, with equal bytes: the first counts."""
    known: OrderedDict[str, None] = OrderedDict()
    for message in found:
        attributes = {name: value.decode() for name, value in message.headers() or () if value is not None}
        identity = attributes.get("ce_id", "")
        if identity not in known:
            known[identity] = None
            if len(known) > REMEMBERED:
                known.popitem(last=False)
            yield attributes.get("ce_type", ""), json.loads(message.value() or b"{}")


def main() -> int:
    broker = os.environ.get("LLM_OPTIMIZER__KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:9092")
    settings = {"bootstrap.servers": broker, "group.id": "example-07", "enable.partition.eof": True, "log_level": 2}
    consumer = Consumer(settings | {"enable.auto.commit": False})
    try:
        for kind, data in once(messages(consumer, stay="--follow" in sys.argv)):
            what = data.get("rationale") or data.get("error") or data.get("action") or ""
            print(
                f"{data.get('service')}  {kind.rsplit('.', 1)[-1]}  version {data.get('version')}  {what}", flush=True
            )
    finally:
        consumer.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
