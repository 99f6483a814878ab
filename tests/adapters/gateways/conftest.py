"""One gateway at a time, each with the same remote controls, so that one suite runs over all."""

from collections.abc import AsyncIterator, Callable, Iterator

import aiohttp
import pytest

from app.adapters.gateways.desired import DesiredGateway, DesiredState
from app.adapters.gateways.memory import MemoryGateway
from app.adapters.gateways.orchestrator import OrchestratorGateway, OrchestratorOptions
from app.adapters.gateways.orchestrator_grpc import GrpcGateway, GrpcOptions
from app.sim.orchestrator import create_app
from app.sim.orchestrator_grpc import serve_grpc
from app.sim.orchestrator_state import Faults, OrchestratorState
from tests.adapters.gateways.mlflow_rig import MlflowRig, rig_of
from tests.e2e.harness.mlflow import Mlflow, need_mlflow

DRAWS = frozenset(("weights", "slices", "sticky"))
"""What a gateway can do that draws slice and arm by the hash."""


class MemoryRig:
    """``break_it("")`` mends it; the store is what is behind the gateway; ``able``: what it must state it can do.
    ``conditional``: it replaces a state only if it is still there.
    """

    able = DRAWS | {"shadow"}
    conditional = True

    def __init__(self) -> None:
        self.gateway = MemoryGateway()
        self.store = self.gateway.store

    def break_it(self, failure: str) -> None:
        self.gateway.failure = failure  # type: ignore[assignment]  # the names of failures are the same


class HttpRig:
    able = DRAWS
    conditional = True

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

    able = DRAWS
    conditional = True

    def __init__(self) -> None:
        self.desired = DesiredState(lambda: 0.0)
        self.gateway = DesiredGateway(self.desired)
        self.store = self.desired.store

    def break_it(self, failure: str) -> None:
        if failure:
            pytest.skip("no network lies between the actuator and what it offers")


Rig = MemoryRig | HttpRig | DesiredRig | MlflowRig


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


@pytest.fixture(scope="session")
def mlflow_server() -> Iterator[Mlflow]:
    """A real one, with models ``big`` and ``small`` that nobody answers for."""
    need_mlflow()
    with Mlflow() as server:
        server.models({"big": "http://127.0.0.1:9/v1", "small": "http://127.0.0.1:9/v1"})
        yield server


@pytest.fixture
async def mlflow(mlflow_server: Mlflow) -> AsyncIterator[MlflowRig]:
    """The AI Gateway of MLflow, without an endpoint."""
    async with rig_of(mlflow_server) as rig:
        yield rig


@pytest.fixture(
    params=[
        "memory", "orchestrator", "orchestrator_grpc", "desired",
        pytest.param("mlflow", marks=pytest.mark.e2e),
    ]
)  # fmt: skip
def rig(request: pytest.FixtureRequest) -> Rig:
    """Every gateway there is."""
    if request.param == "memory":
        return MemoryRig()
    if request.param == "desired":
        return DesiredRig()
    served: HttpRig | MlflowRig = request.getfixturevalue(request.param)
    return served
