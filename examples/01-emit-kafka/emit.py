"""Tell the optimizer of answered requests: one CloudEvent each, written to Kafka with confluent-kafka.

    python emit.py [SERVICE] [REQUESTS]

Broker: LLM_OPTIMIZER__KAFKA__BOOTSTRAP_SERVERS, else 127.0.0.1:9092.
"""

import json
import os
import random
import sys
import time
import uuid
from datetime import UTC, datetime

from confluent_kafka import Producer

TOPIC = "llm.responses"
MINUTES = 6
ARMS = {  # name: model, USD per request, seconds
    "large": ("gpt-4o", 0.0042, 1.8),
    "small": ("gpt-4o-mini", 0.0003, 0.9),
}


def event(service: str, when_s: float, draw: random.Random) -> dict[str, object]:
    """One answered request, as a gateway sees it. The `id` names the answer: sent twice, it counts once."""
    arm = draw.choice(list(ARMS))
    model, cost, seconds = ARMS[arm]
    request = str(uuid.UUID(int=draw.getrandbits(128)))
    return {
        "specversion": "1.0",
        "id": f"{request}-done",
        "source": "/examples/01",
        "type": "io.llm-platform.response.completed",
        "time": datetime.fromtimestamp(when_s, UTC).isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": {
            "request_id": request,
            "service": service,
            "arm": arm,
            "model": model,
            "latency_ms": 1000 * seconds * draw.uniform(0.6, 1.6),
            "input_tokens": draw.randrange(200, 1500),
            "output_tokens": draw.randrange(40, 400),
            "cost_usd": cost * draw.uniform(0.8, 1.2),
            "status": "ok" if draw.random() < 0.99 else "error",
        },
    }


def main() -> int:
    service = sys.argv[1] if len(sys.argv) > 1 else "support-chat"
    requests = int(sys.argv[2]) if len(sys.argv) > 2 else 600
    broker = os.environ.get("LLM_OPTIMIZER__KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:9092")
    failed: list[str] = []
    producer = Producer({"bootstrap.servers": broker, "enable.idempotence": True, "log_level": 2})
    draw, now_s = random.Random(time.time_ns()), time.time()
    for number in range(requests):
        when_s = now_s - 60 * MINUTES * (1 - number / requests)  # the last minutes, oldest first
        made = event(service, when_s, draw)
        producer.produce(
            TOPIC,
            key=made["data"]["request_id"],  # any key will do
            value=json.dumps(made).encode(),
            headers={"content-type": "application/cloudevents+json"},
            on_delivery=lambda error, _: failed.append(str(error)) if error else None,
        )
        producer.poll(0)
    left = producer.flush(30)
    if left or failed:
        print(f"{left + len(failed)} of {requests} were not taken: {failed[:1] or broker}", file=sys.stderr)
        return 1
    print(f"{requests} answered requests of {service} are on {TOPIC}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
