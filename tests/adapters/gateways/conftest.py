"""One gateway at a time, each with the same remote controls, so that one suite runs over all."""

from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest

from app.adapters.gateways.memory import MemoryGateway
from app.adapters.gateways.orchestrator import OrchestratorGateway, OrchestratorOptions
from app.sim.orchestrator import create_app
from app.sim.orchestrator_state import Faults, OrchestratorState


class MemoryRig:
    """``break_it("")`` mends it; the store is what is behind the gateway."""

    def __init__(self) -> None:
        self.gateway = MemoryGateway()
        self.store = self.gateway.store

    def break_it(self, failure: str) -> None:
        self.gateway.failure = failure  # type: ignore[assignment]  # the names of failures are the same


class HttpRig:
    def __init__(self, state: OrchestratorState, gateway: OrchestratorGateway) -> None:
        self.gateway = gateway
        self.state = state
        self.store = state.store

    def break_it(self, failure: str) -> None:
        self.state.faults = Faults(**{failure.replace("-", "_"): True}) if failure else Faults()


Rig = MemoryRig | HttpRig


@pytest.fixture
async def orchestrator(aiohttp_server: Callable[..., object]) -> AsyncIterator[HttpRig]:
    """The reference Orchestrator on loopback with a client that tries twice, without a pause."""
    state = OrchestratorState()
    server = await aiohttp_server(create_app(state, faults=True))  # type: ignore[misc]  # the fixture is untyped
    options = OrchestratorOptions(url=str(server.make_url("/")), attempts=2, pause_s=0.001, timeout_s=2.0)
    async with aiohttp.ClientSession() as session:
        yield HttpRig(state, OrchestratorGateway(session, options))


@pytest.fixture(params=["memory", "orchestrator"])
def rig(request: pytest.FixtureRequest) -> Rig:
    """Every gateway there is."""
    if request.param == "memory":
        return MemoryRig()
    http: HttpRig = request.getfixturevalue("orchestrator")
    return http
