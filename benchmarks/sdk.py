"""What the Python client costs its application: ``python -m benchmarks.sdk [--calls N]``.

Each call is timed alone, one after the other, with the sending thread at work beside them: median and p99 of the time that
passed, and the mean of the processor time of the calling thread, which says the same on a busy machine. ``emit`` tells of
one answer; ``wrap`` is all that a wrapped OpenAI client does around the call that is wrapped (select, tell, spill), which
returns at once here; the last row is a whole call of OpenAI's client over a transport that answers at once, for comparison.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
from openai.types.chat import ChatCompletion

sys.path.insert(0, str(Path(__file__).parents[1] / "clients" / "python"))

from llm_optimizer_client import Client, MemoryTransport, Record, Sent, session, wrap
from llm_optimizer_client.sources import Fetched

WARM_UP = 500
SPLIT = {
    "service": "chat",
    "version": 3,
    "incumbent": "big",
    "holdout_share": 0.05,
    "arms": [{"name": "big", "model": "big-1"}, {"name": "small", "model": "small-1", "parameters": {"top_p": 0.2}}],
    "weights": {"*": {"big": 1.0}},
    "trial": {"id": "t1", "arm": "small", "control_arm": "big", "share": 0.25, "control_share": 0.25},
}
USAGE = {"prompt_tokens": 200, "completion_tokens": 100, "total_tokens": 300}
ANSWER = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "big-1",
    "usage": USAGE,
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}],
}


class Gone(MemoryTransport):
    """Takes everything and keeps nothing: a heap that grows would be measured with the calls."""

    def send(self, records: list[Record]) -> Sent:
        return Sent(delivered=len(records))


class Splits:
    """The split, without a network."""

    poll_s = 3600.0

    def fetch(self, service: str, etag: str, wait_s: int) -> Fetched | None:
        return Fetched(SPLIT, b"", "e")


Times = tuple[list[float], float]
"""Microseconds that passed in each call; mean microseconds of processor time."""


def timed(call: Callable[[], object], calls: int) -> Times:
    """Time ``calls`` of them."""
    for _ in range(WARM_UP):
        call()
    found, busy = [], time.thread_time_ns()
    for _ in range(calls):
        began = time.perf_counter_ns()
        call()
        found.append((time.perf_counter_ns() - began) / 1000)
    return found, (time.thread_time_ns() - busy) / 1000 / calls


class AtOnce(openai.OpenAI):
    """OpenAI's client with its way to the network cut short."""

    def post(self, *_: Any, **__: Any) -> Any:
        return WHOLE


WHOLE = ChatCompletion.model_validate(ANSWER)


def wrapped(client: Client, calls: int) -> Times:
    """A call through the one method of OpenAI's client that ``wrap`` wraps."""
    told: Any = wrap(AtOnce(api_key="k", http_client=http()), "chat", optimizer=client)
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    with session("user-1"):
        return timed(lambda: told.post("/chat/completions", body=body), calls)


def plain(calls: int) -> Times:
    """A whole call, not wrapped."""
    client = openai.OpenAI(api_key="k", max_retries=0, http_client=http())
    ask: Any = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    return timed(lambda: client.chat.completions.create(**ask), calls)


def http() -> Any:
    """An HTTP client of openai's own kind that answers at once."""
    try:
        import httpx2 as httpx
    except ImportError:  # openai before 3
        import httpx  # type: ignore[no-redef]
    body = json.dumps(ANSWER).encode()
    answer = {"content-type": "application/json"}
    return httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, content=body, headers=answer)))


def emit(client: Client) -> None:
    """As a wrapper would."""
    client.response(
        "chat", "gpt-4o", 812.5, provider="openai", input_tokens=200, output_tokens=100, finish_reason="stop",
        response_model="gpt-4o-2024-11-20", fingerprint="fp_1",
    )  # fmt: skip


def line(name: str, times: Times) -> str:
    """One row of the table."""
    found, busy = times
    return f"{name:<44}{statistics.median(found):>9.1f}{statistics.quantiles(found, n=100)[98]:>9.1f}{busy:>11.1f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=5_000)
    calls = parser.parse_args().calls
    print(f"{f'microseconds of a call ({calls:,} calls)':<44}{'median':>9}{'p99':>9}{'processor':>11}")
    with tempfile.TemporaryDirectory() as folder:
        memory = Client(transport=Gone(), splits=Splits(), queue=100_000)
        spilling = Client(transport=Gone(), splits=Splits(), queue=100_000, spill=folder)
        memory.select_model("chat", patience_s=10)
        spilling.select_model("chat", patience_s=10)
        print(line("emit, waiting in memory", timed(lambda: emit(memory), calls)))
        print(line("emit, waiting in a spill folder", timed(lambda: emit(spilling), calls)))
        print(line("select_model", timed(lambda: memory.select_model("chat", session="user-1"), calls)))
        print(line("wrap: select, tell, spill", wrapped(spilling, calls)))
        print(line("OpenAI's client itself, without a network", plain(calls // 5)))
        for client in (memory, spilling):
            client.close()
            counts = client.counts()
            print(f"accepted {counts.accepted}, sent {counts.sent}, refused {counts.refused}")


if __name__ == "__main__":
    main()
