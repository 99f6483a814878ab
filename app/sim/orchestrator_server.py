"""The reference Orchestrator served over HTTP from a thread, its state shared with the simulator's traffic.

The actuator of a worker drives it over the network like any gateway; the simulator asks the same state for a route
without a network between, so that a request costs microseconds and not a round trip.
"""

import asyncio
import threading
from types import TracebackType
from typing import Self

from aiohttp import web

from app.core.split import Split
from app.sim.orchestrator import create_app
from app.sim.orchestrator_state import OrchestratorState
from app.sim.routing import StateRouter

START_S = 10.0


class OrchestratorServer:
    """``with OrchestratorServer() as gateway:`` serves on ``gateway.url`` (loopback, a free port)."""

    def __init__(self) -> None:
        self.state = OrchestratorState()
        self.router = StateRouter(self.state)
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="orchestrator", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        port = asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result(START_S)
        self.url = f"http://127.0.0.1:{port}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(START_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(START_S)
        self._loop.close()

    def held(self, service: str) -> Split | None:
        """The split the gateway has."""
        applied = self.state.read(service)
        return None if applied is None else applied.split

    def outage(self, *, down: bool) -> None:
        """Switch the fault: configuration answers 503, traffic goes on."""
        self.state.faults.down = down

    async def _serve(self) -> int:
        self._runner = web.AppRunner(create_app(self.state), access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        (address,) = self._runner.addresses
        return int(address[1])
