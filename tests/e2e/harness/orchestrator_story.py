"""The story of ``gateway_story`` at the reference Orchestrator, a process of its own that is driven over REST or gRPC.

Traffic asks it for a route (``POST /v1/route``), calls the arm's provider, another one should that fail, and tells what
was answered.
"""

import asyncio
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from app.core.events import rfc3339
from tests.e2e.harness.broker import ROOT, Broker, free_port
from tests.e2e.harness.deployment import Deployment, deploy
from tests.e2e.harness.gateway_story import RATE, SERVICE, Answer, Callers, Figures, play, worker
from tests.e2e.harness.litellm import Clock
from tests.e2e.harness.providers import Provider, Providers
from tests.e2e.harness.waits import until

PAUSE_S = 0.15
PRICES = {"large": 1e-5, "small": 1e-6, "tiny": 2e-7}


class OrchestratorCallers(Callers):
    """Callers that ask the Orchestrator for a route."""

    def __init__(self, url: str, providers: str, deployment: Deployment, clock: Clock) -> None:
        super().__init__(None, deployment, clock)
        self._url, self._providers = url, providers

    async def _ask(self, session: aiohttp.ClientSession, name: str) -> None:
        await asyncio.sleep(PAUSE_S)
        wanted = {"service": SERVICE, "request_id": name, "session_id": name}
        async with session.post(f"{self._url}/v1/route", json=wanted) as answer:
            if answer.status == 404:
                return  # no split yet
            routed = await answer.json()
        began = time.time()
        order = [routed["arm"], *(arm for arm in PRICES if arm != routed["arm"])]
        arm, status, said = order[0], 0, {}
        for arm in order[:2]:  # the last one tried is told
            body = {"model": f"{arm}-1", "messages": [{"role": "user", "content": "hello"}]}
            async with session.post(f"{self._providers}/{arm}/v1/chat/completions", json=body) as answer:
                status, said = answer.status, await answer.json()
            if status == 200:
                break
        now = time.time()
        self.answers.append(Answer(now, status, routed["slice"], routed["arm"], arm, routed["version"]))
        self._tell(routed, arm, status, now - began, now)
        if status == 200:
            self._judge(routed["request_id"], said["choices"][0]["message"]["content"], now)

    def _tell(self, routed: Mapping[str, Any], served: str, status: int, latency_s: float, now: float) -> None:
        data = {
            "request_id": routed["request_id"], "service": SERVICE, "arm": routed["arm"], "model": f"{served}-1",
            "slice": routed["slice"], "version": routed["version"], "session_group": routed["session_group"],
            "latency_ms": 1000 * latency_s, "input_tokens": 200, "output_tokens": 100, "cost_usd": 300 * PRICES[served],
            "status": "ok" if status == 200 else "error",
        }  # fmt: skip
        if served != routed["arm"]:
            data["served_arm"] = served
        headers = {
            "ce_specversion": "1.0", "ce_id": f"{routed['request_id'].partition('.')[0]}-done", "ce_source": "/story",
            "ce_type": "io.llm-platform.response.completed", "ce_time": rfc3339(int(self._clock.at(now))),
            "content-type": "application/json",
        }  # fmt: skip
        self._producer.produce(
            self._topics.responses,
            msgspec.json.encode(data),
            routed["request_id"].encode(),
            headers=[(name, text.encode()) for name, text in headers.items()],
        )
        self._producer.poll(0)


def tell(broker: Broker, folder: Path, kind: str) -> Figures:
    """Play the story; ``kind``: ``orchestrator`` or ``orchestrator-grpc``."""
    port, grpc_port = free_port(), free_port()
    deployment = deploy(
        broker, kind, folder, gateway__kind=kind,
        gateway__url=f"http://127.0.0.1:{port if kind == 'orchestrator' else grpc_port}",
        ingest__lateness_s="120", ingest__ahead_s="120", topics__spans="", ingest__idle_s="3600",
    )  # fmt: skip
    began = time.time()
    clock = Clock(began=began, base=began - 12 * 3600 - began % 60, rate=RATE)
    arms = {arm: Provider() for arm in PRICES}
    with (
        _orchestrator(port, grpc_port, folder / "gateway.log") as url,
        Providers(arms) as there,
        worker(deployment, folder / "worker.log"),
    ):
        return play(there, OrchestratorCallers(url, there.url, deployment, clock), deployment)


@contextmanager
def _orchestrator(port: int, grpc_port: int, log: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "app.sim.orchestrator", "--port", str(port), "--grpc-port", str(grpc_port)]
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    with log.open("ab") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)
    try:
        until(answers, 120, f"the Orchestrator does not start; see {log}")
        yield url
    finally:
        process.kill()
        process.wait(10)
