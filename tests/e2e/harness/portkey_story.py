"""The header for Portkey at a real one: splits are fetched from what the worker serves, requests are drawn and told.

What is measured is returned as ``Figures``; nothing is asserted here.
"""

import asyncio
import importlib.util
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from aiohttp import web

from app.adapters.gateways.desired import DesiredState
from app.adapters.gateways.desired_http import DesiredRoutes
from app.core.assign import expected_shares
from app.core.split import Split
from app.core.stats.binomial import two_sided
from tests.core.splits import split, trial
from tests.e2e.harness.broker import ROOT
from tests.e2e.harness.portkey import PortkeyServer
from tests.e2e.harness.providers import Provider, Providers
from tests.e2e.harness.waits import until

SERVICE, KEY = "bot", "a key for portkey"
REQUESTS, IN_FLIGHT = 400, 8
STEPS = (
    split(1),
    trial(2, holdout_share=0.1),
    split(3, weights={"*": {"big": 0.3, "small": 0.7}}),
)


class Figures(msgspec.Struct):
    """What was measured. Shares: (how, version, slice|arm, asked, observed, requests, p-value)."""

    shares: list[tuple[str, int, str, float, float, int, float]] = []
    first_stamped_s: list[float] = []
    requests: int = 0
    failed: int = 0
    wrongly_told: int = 0
    outage_requests: int = 0
    outage_elsewhere: int = 0
    outage_failed: int = 0
    kept: bool = False


class Served:
    """The worker's desired state over HTTP, in a thread."""

    def __init__(self) -> None:
        self.state = DesiredState(time.monotonic)
        self.state.complete = True
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Serve; the address."""
        self._thread.start()
        port = asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result(10)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(20)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
            self._loop.close()

    def offer(self, one: Split) -> None:
        """Put a split on offer, as the actuator does."""

        async def put() -> None:
            held = self.state.store.read(one.service)
            self.state.offer(one, held.etag if held else None, f"key-{one.version}")

        asyncio.run_coroutine_threadsafe(put(), self._loop).result(10)

    async def _end(self) -> None:
        await self._runner.cleanup()
        await asyncio.sleep(0.1)  # long polls that were cancelled end

    async def _serve(self) -> int:
        app = web.Application()
        DesiredRoutes(self.state, KEY).add_to(app)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return int(self._runner.addresses[0][1])


def tell(folder: Path, requests: int = REQUESTS) -> Figures:
    """Play it."""
    figures, served = Figures(), Served()
    arms = {"big": Provider(0.001), "small": Provider(0.001)}
    with Providers(arms) as there, PortkeyServer(folder) as gateway, served.serving() as url:
        targets = {
            arm: {"provider": "openai", "api_key": "none", "custom_host": f"{there.url}/{arm}/v1"} for arm in arms
        }
        (folder / "targets.json").write_text(json.dumps({SERVICE: targets}))
        client = _client()
        optimizer = client.from_environment(
            {
                "LLM_OPTIMIZER_URL": url, "LLM_OPTIMIZER_KEY": KEY, "LLM_OPTIMIZER_CACHE": str(folder / "cache"),
                "LLM_OPTIMIZER_TARGETS": str(folder / "targets.json"),
            }
        )  # fmt: skip
        caller = _Caller(gateway.url, figures)
        for one in STEPS:
            _follow(served, optimizer, caller, one)
            _ask(caller, figures, one, "drawn by the client", optimizer.route, requests)
            if one.version != 1:
                header = optimizer.weighted(SERVICE)
                _ask(caller, figures, one, "drawn by Portkey", lambda *_, header=header, **__: header, requests)
        _outage(there, caller, figures, optimizer)
        optimizer._desired.stop()
    figures.kept = _keeps(client, folder)
    return figures


class _Caller:
    def __init__(self, url: str, figures: Figures) -> None:
        self._url, self._figures = url, figures

    def all(self, route: Callable[..., Any], requests: int, name: str) -> list[tuple[int, dict[str, Any]]]:
        """Status of each answer and what it told of its routing."""
        return asyncio.run(self._all(route, requests, name))

    async def _all(self, route: Callable[..., Any], requests: int, name: str) -> list[tuple[int, dict[str, Any]]]:
        names = iter([f"{name}-{number}" for number in range(requests)])
        async with aiohttp.ClientSession() as session:

            async def caller() -> list[tuple[int, dict[str, Any]]]:
                return [await self._one(session, route(SERVICE, session_id=one), one) for one in names]

            return [
                answer for answers in await asyncio.gather(*(caller() for _ in range(IN_FLIGHT))) for answer in answers
            ]

    async def _one(self, session: aiohttp.ClientSession, routed: Any, unique: str) -> tuple[int, dict[str, Any]]:
        body = {"model": "any", "messages": [{"role": "user", "content": "hello"}]}
        async with session.post(f"{self._url}/v1/chat/completions", json=body, headers=routed.headers) as answer:
            said = await answer.json()
            told = routed.told(answer.headers, unique)
        self._figures.requests += 1
        self._figures.failed += answer.status != 200
        self._figures.wrongly_told += answer.status == 200 and said["model"] != told["model"]
        return answer.status, told


def _follow(served: Served, optimizer: Any, caller: _Caller, one: Split) -> None:
    """Offer ``one`` and wait for the first answer stamped with it."""
    served.offer(one)
    began = time.monotonic()
    held = optimizer._desired.splits
    until(lambda: SERVICE in held and held[SERVICE].version >= one.version, 90, f"version {one.version} never came")
    caller.all(optimizer.route, 1, f"first-{one.version}")
    caller._figures.first_stamped_s.append(time.monotonic() - began)


def _ask(caller: _Caller, figures: Figures, one: Split, how: str, route: Callable[..., Any], requests: int) -> None:
    answers = [told for status, told in caller.all(route, requests, f"{how}-{one.version}") if status == 200]
    seen = Counter((told["slice"], told["arm"]) for told in answers if told["version"] == one.version)
    for (slice_, arm), asked in expected_shares(one).items():
        n = seen[slice_, arm]
        p = two_sided(n, len(answers), min(1.0, asked))
        row = (how, one.version, f"{slice_}|{arm}", asked, n / max(1, len(answers)), len(answers), p)
        figures.shares.append(row)


def _outage(there: Providers, caller: _Caller, figures: Figures, optimizer: Any) -> None:
    there.arms["small"].down = True
    hit = [(status, told) for status, told in caller.all(optimizer.route, 60, "outage") if told["arm"] == "small"]
    there.arms["small"].down = False
    figures.outage_requests = len(hit)
    figures.outage_failed = sum(status != 200 for status, _ in hit)
    figures.outage_elsewhere = sum(told.get("served_arm") == "big" for _, told in hit)


def _keeps(client: Any, folder: Path) -> bool:
    """Whether a new process, with nobody to ask, serves the last good split."""
    again = client.Desired("http://127.0.0.1:9", KEY, [SERVICE], cache=str(folder / "cache"))
    again._load(SERVICE)
    return SERVICE in again.splits and again.splits[SERVICE].version == STEPS[-1].version


def _client() -> Any:
    path = ROOT / "clients" / "portkey" / "llm_optimizer_portkey.py"
    spec = importlib.util.spec_from_file_location("llm_optimizer_portkey", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
