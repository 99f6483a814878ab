"""The reference server over gRPC: what the suite of all gateways does not ask."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest

from app.adapters.gateways.configuration import update_of
from app.adapters.gateways.orchestrator_grpc import GrpcGateway, GrpcOptions
from app.adapters.proto import optimization_actuator_pb2 as pb
from app.adapters.proto import optimization_actuator_pb2_grpc as pb_grpc
from app.core.ports import Refused, Unavailable
from app.sim.orchestrator_grpc import serve_grpc
from app.sim.orchestrator_state import Faults, OrchestratorState
from tests.core.splits import split, trial


@pytest.fixture
def state():
    return OrchestratorState()


@pytest.fixture
async def port(state) -> AsyncIterator[int]:
    server, port = await serve_grpc(state, "127.0.0.1:0", token="secret")
    yield port
    await server.stop(None)


@pytest.fixture
async def stub(port) -> AsyncIterator[Any]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield pb_grpc.OptimizationActuatorStub(channel)


AUTH = (("authorization", "Bearer secret"),)


async def test_an_open_trial_is_taken_back_without_a_configuration(state, stub):
    state.apply(trial(3))
    answer = await stub.RollbackConfiguration(pb.RollbackRequest(service_id="bot"), metadata=AUTH)
    assert (answer.status, answer.version) == ("applied", 3)
    assert state.read("bot").split == split(3, frozen=True)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.RollbackConfiguration(pb.RollbackRequest(service_id="bot"), metadata=AUTH)
    assert caught.value.code() == grpc.StatusCode.ABORTED
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.RollbackConfiguration(pb.RollbackRequest(service_id="nobody"), metadata=AUTH)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("configuration", "complaint"),
    [
        (update_of(split(1)).configuration, ""),
        (update_of(split(1, incumbent="nobody")).configuration, "nobody"),
        ({"split": "{"}, "configuration.split"),
        ({"split": update_of(split(1, service="other")).configuration["split"]}, "of service 'other'"),
        ({}, "at least `model`"),
        ({"model": "gpt-4o"}, ""),
    ],
)
async def test_validation_says_what_is_wrong_and_changes_nothing(state, stub, configuration, complaint):
    request = pb.ConfigurationValidationRequest(service_id="bot", configuration=configuration)
    answer = await stub.ValidateConfiguration(request, metadata=AUTH)
    assert answer.valid == (not complaint)
    assert complaint in "".join(answer.errors)
    assert state.store.changes == 0


async def test_a_configuration_says_its_strategy_and_share(state, stub):
    state.apply(trial(3))
    answer = await stub.GetCurrentConfiguration(pb.ConfigurationQuery(service_id="bot"), metadata=AUTH)
    assert (answer.strategy, answer.rollout_percentage, answer.version) == (pb.CANARY, 5, 3)


async def test_plain_keys_without_a_condition_serve_one_model(state, stub):
    request = pb.ConfigurationUpdateRequest(service_id="bot", configuration={"model": "gpt-4o"})
    assert (await stub.UpdateConfiguration(request, metadata=AUTH)).status == "applied"
    assert state.read("bot").split.incumbent == "gpt-4o"


async def test_without_the_token_nothing_is_answered_and_the_adapter_says_why(port):
    gateway = GrpcGateway(GrpcOptions(url=f"http://127.0.0.1:{port}"))
    with pytest.raises(Refused, match="UNAUTHENTICATED"):
        await gateway.read("bot")
    await gateway.close()


async def test_a_slow_server_is_given_up_after_the_timeout(state, port):
    state.faults = Faults(slow_s=5)
    options = GrpcOptions(url=f"http://127.0.0.1:{port}", token="secret", timeout_s=0.05, attempts=1)
    gateway = GrpcGateway(options)
    with pytest.raises(Unavailable, match="DEADLINE"):
        await gateway.read("bot")
    await gateway.close()


async def test_a_server_that_is_not_there_is_unavailable():
    gateway = GrpcGateway(GrpcOptions(url="http://127.0.0.1:1", attempts=1, timeout_s=1))
    with pytest.raises(Unavailable):
        await gateway.apply(split(1), None, "k")
    await gateway.close()
