"""What writing a fetch request and reading its answer cost: `python -m benchmarks.fetch_codec [PARTITIONS]`."""

import sys
import time
from collections.abc import Callable
from io import BytesIO
from statistics import median

from aiokafka.protocol.fetch import FetchRequest, FetchRequest_v11, FetchResponse_v11

from app.adapters.kafka.fetch_codec import quick

ROUNDS, TIMES = 15, 50


def main() -> None:
    partitions = int(sys.argv[1]) if len(sys.argv) > 1 else 28
    topics = [(f"llm.topic-{n}", [(p, 1_000_000, 1 << 20) for p in range(4)]) for n in range(partitions // 4)]
    given = [(name, [(p, 0, 1, 1, 0, [], -1, b"x" * 1000) for p, _, _ in some]) for name, some in topics]
    answer = FetchResponse_v11(0, 0, 0, given).encode()
    request = FetchRequest(50, 131_072, 52_428_800, 1, topics)

    def theirs() -> None:
        asked = request.build(FetchRequest_v11)
        asked.encode()
        asked.RESPONSE_TYPE.decode(BytesIO(answer))

    def ours() -> None:
        asked = quick(request, 131_072, 50).build(FetchRequest_v11)
        asked.encode()
        asked.RESPONSE_TYPE.decode(BytesIO(answer))

    ways = {"aiokafka's own": theirs, "a partition at a time": ours}
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            taken[name].append(_cpu_us(way))
    for name, some in taken.items():
        print(f"{name:<24} {min(some):8.1f} us CPU a fetch of {partitions} partitions, median {median(some):.1f}")


def _cpu_us(way: Callable[[], None]) -> float:
    began = time.thread_time()
    for _ in range(TIMES):
        way()
    return (time.thread_time() - began) / TIMES * 1e6


if __name__ == "__main__":
    main()
