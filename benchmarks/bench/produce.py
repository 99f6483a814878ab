"""Live traffic: ``python -m benchmarks.bench.produce KAFKA TOPIC RATE SECONDS FILE``.

Sends RATE events a second, as they happen, keyed by request. FILE gets a line ``sent value-bytes`` every second, and
for every ``SAMPLE``-th event one ``partition offset seconds service``: where it went, when the client was given it.
"""

import random
import sys
import time
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from benchmarks.bench.events import draw, encoded, services

SAMPLE = 10
TICK_S = 0.01
KEYS = 160


def main() -> None:
    kafka, topic, rate, seconds, file = sys.argv[1:]
    producer = Producer({"bootstrap.servers": kafka, "linger.ms": 5, "acks": "all"})
    source, names = random.Random(11), services(KEYS)
    began = time.time()
    number = size = told = 0
    with Path(file).open("w", buffering=1 << 16) as lines:
        while (elapsed := time.time() - began) < float(seconds):
            while number < elapsed * float(rate):
                answer = draw(source, names)
                now_s = time.time()
                value = encoded(number, answer, int(now_s * 1000))
                size += len(value)
                options: dict[str, Any] = {}
                if number % SAMPLE == 0:

                    def where(_: Any, message: Any, sent_s: float = now_s, service: str = answer.service) -> None:
                        lines.write(f"{message.partition()} {message.offset()} {sent_s:.6f} {service}\n")

                    options["on_delivery"] = where
                producer.produce(topic, value, f"req-{number:08d}", **options)
                number += 1
            producer.poll(TICK_S)
            if elapsed > told:
                lines.write(f"{number} {size}\n")
                lines.flush()
                told += 1
        producer.flush(10)
        lines.write(f"{number} {size}\n")


if __name__ == "__main__":
    main()
