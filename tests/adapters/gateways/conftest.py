"""One gateway at a time, each with the same remote controls, so that one suite runs over all."""

from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest

from app.adapters.gateways.desired import DesiredGateway, DesiredState
from app.adapters.gateways.memory import MemoryGateway
from app.adapters.gateways.orchestrator import OrchestratorGateway, OrchestratorOptions
from app.adapters.gateways.orchestrator_grpc import GrpcGateway, GrpcOptions
from app.sim.orchestrator import create_app
from app.sim.orchestrator_grpc import serve_grpc
from app.sim.orchestrator_state import Faults, OrchestratorState


class MemoryRig:
    """``break_it("")`` mends it; the store is what is behind the gateway."""

    def __init__(self) -> None:
        self.gateway = MemoryGateway()
        self.store = self.gateway.store

    def break_it(self, failure: str) -> None:
        self.gateway.failure = failure  # type: ignore[assignment]  # the names of failures are the same


class HttpRig:
    def __init__(self, state: OrchestratorState, gateway: OrchestratorGateway | GrpcGateway) -> None:
        self.gateway = gateway
        self.state = state
        self.store = state.store

    def break_it(self, failure: str) -> None:
        self.state.faults = Faults(**{failure.replace("-", "_"): True}) if failure else Faults()


class GrpcRig(HttpRig):
    """The same faults, over gRPC."""


class DesiredRig:
    """What is on offer is in this process: nothing can fail between the actuator and it."""

    def __init__(self) -> None:
        self.desired = DesiredState(lambda: 0.0)
        self.gateway = DesiredGateway(self.desired)
        self.store = self.desired.store

    def break_it(self, failure: str) -> None:
        if failure:
            pytest.skip("no network lies between the actuator and what it offers")


Rig = MemoryRig | HttpRig | DesiredRig


@pytest.fixture
async def orchestrator(aiohttp_server: Callable[..., object]) -> AsyncIterator[HttpRig]:
    """The reference Orchestrator on loopback with a client that tries twice, without a pause."""
    state = OrchestratorState()
    server = await aiohttp_server(create_app(state, faults=True))  # type: ignore[misc]  # the fixture is untyped
    options = OrchestratorOptions(url=str(server.make_url("/")), attempts=2, pause_s=0.001, timeout_s=2.0)
    async with aiohttp.ClientSession() as session:
        yield HttpRig(state, OrchestratorGateway(session, options))


@pytest.fixture
async def orchestrator_grpc() -> AsyncIterator[GrpcRig]:
    """The reference Orchestrator over gRPC on loopback, with a client that tries twice, without a pause."""
    state = OrchestratorState()
    server, port = await serve_grpc(state, "127.0.0.1:0")
    options = GrpcOptions(url=f"http://127.0.0.1:{port}", attempts=2, pause_s=0.001, timeout_s=2.0)
    gateway = GrpcGateway(options)
    yield GrpcRig(state, gateway)
    await gateway.close()
    await server.stop(None)


@pytest.fixture(params=["memory", "orchestrator", "orchestrator_grpc", "desired"])
def rig(request: pytest.FixtureRequest) -> Rig:
    """Every gateway there is."""
    if request.param == "memory":
        return MemoryRig()
    if request.param == "desired":
        return DesiredRig()
    served: HttpRig = request.getfixturevalue(request.param)
    return served
