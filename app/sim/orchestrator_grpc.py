"""The reference Orchestrator (or Edge-Agent) over gRPC: ``OptimizationActuator`` over the same state as REST."""

import asyncio
import hmac
from typing import Any, NoReturn

import grpc
import grpc.aio

from app.adapters.gateways.configuration import ConfigurationUpdate, split_of, update_of
from app.adapters.gateways.orchestrator_grpc import RETRY_AFTER
from app.adapters.gateways.soundness import unsound
from app.adapters.proto import optimization_actuator_pb2 as pb
from app.adapters.proto import optimization_actuator_pb2_grpc as pb_grpc
from app.core.ports import Ack, Conflict, Refused
from app.core.split import Split
from app.sim.orchestrator_state import OrchestratorState

MAX_CALLS = 64
"""Calls at one time; gRPC refuses more with RESOURCE_EXHAUSTED."""
MAX_MESSAGE_BYTES = 1 << 20
RETRY_AFTER_S = 1


def _strategy(split: Split) -> pb.DeploymentStrategy:
    if split.trial is None:
        return pb.IMMEDIATE
    return pb.SHADOW if split.trial.mirrored else pb.CANARY


class ActuatorServicer(pb_grpc.OptimizationActuatorServicer):
    """Answers for ``state``, with its faults. ``token``: required as bearer when set."""

    def __init__(self, state: OrchestratorState, token: str = "") -> None:
        self._state, self._token = state, token

    async def UpdateConfiguration(  # noqa: N802  # the proto's name
        self, request: pb.ConfigurationUpdateRequest, context: Any
    ) -> pb.ConfigurationUpdateResponse:
        await self._begin(context)
        condition = request.if_match if request.HasField("if_match") else None
        ack = await self._put(request, condition, context, rollback=False)
        return pb.ConfigurationUpdateResponse(**self._taken(request.service_id, ack))

    async def GetCurrentConfiguration(  # noqa: N802
        self, request: pb.ConfigurationQuery, context: Any
    ) -> pb.ConfigurationResponse:
        await self._begin(context)
        held = self._state.read(request.service_id)
        if held is None:
            await self._abort(context, grpc.StatusCode.NOT_FOUND, f"{request.service_id!r} has no configuration here")
        update = update_of(held.split)
        return pb.ConfigurationResponse(
            service_id=request.service_id,
            configuration=update.configuration,
            strategy=_strategy(held.split),
            rollout_percentage=round(update.deployment.initial_percentage),
            version=held.split.version,
            etag=held.etag,
        )

    async def RollbackConfiguration(self, request: pb.RollbackRequest, context: Any) -> pb.RollbackResponse:  # noqa: N802
        await self._begin(context)
        if request.configuration:
            condition = request.if_match if request.HasField("if_match") else None
            ack = await self._put(request, condition, context, rollback=True)
        else:
            ack = await self._take_back(request.service_id, context)
        return pb.RollbackResponse(**self._taken(request.service_id, ack))

    async def ValidateConfiguration(  # noqa: N802
        self, request: pb.ConfigurationValidationRequest, context: Any
    ) -> pb.ValidationResponse:
        await self._begin(context)
        try:
            fault = unsound(split_of(ConfigurationUpdate(request.service_id, dict(request.configuration))))
        except ValueError as error:
            fault = str(error)
        return pb.ValidationResponse(valid=not fault, errors=[fault] if fault else [])

    async def _put(self, request: Any, if_match: str | None, context: Any, *, rollback: bool) -> Ack:
        state = self._state
        try:
            split = split_of(ConfigurationUpdate(request.service_id, dict(request.configuration)))
            _check(split, rollback=rollback)
            ack = state.apply(split, if_match or None, request.idempotency_key, must_be_new=if_match == "")
        except Conflict as error:
            await self._abort(context, grpc.StatusCode.ABORTED, str(error))
        except (Refused, ValueError) as error:
            await self._abort(context, grpc.StatusCode.INVALID_ARGUMENT, str(error))
        if state.faults.lost_answer:
            await self._abort(context, grpc.StatusCode.UNAVAILABLE, "the connection broke before the answer")
        return ack

    async def _take_back(self, service: str, context: Any) -> Ack:
        try:
            return self._state.rollback(service)
        except KeyError:
            await self._abort(context, grpc.StatusCode.NOT_FOUND, f"{service!r} has no configuration here")
        except Conflict as error:
            await self._abort(context, grpc.StatusCode.ABORTED, str(error))

    def _taken(self, service: str, ack: Ack) -> dict[str, Any]:
        held = self._state.read(service)
        version = held.split.version if held is not None else 0
        detail = f"version {version} is there already and is newer" if ack.status == "ignored" else ""
        return {"service_id": service, "status": ack.status, "version": version, "etag": ack.etag, "detail": detail}

    async def _begin(self, context: Any) -> None:
        """Check the caller, then misbehave as told."""
        given = dict(context.invocation_metadata() or ()).get("authorization", "")
        if self._token and not hmac.compare_digest(str(given).encode(), f"Bearer {self._token}".encode()):
            await self._abort(context, grpc.StatusCode.UNAUTHENTICATED, "send `authorization: Bearer <token>`")
        faults = self._state.faults
        if faults.slow_s:
            await asyncio.sleep(faults.slow_s)
        if faults.dark or faults.down:
            await self._abort(context, grpc.StatusCode.UNAVAILABLE, "out of order")
        if faults.busy:
            context.set_trailing_metadata(((RETRY_AFTER, str(RETRY_AFTER_S)),))
            await self._abort(context, grpc.StatusCode.RESOURCE_EXHAUSTED, "too many calls")
        if faults.garbage:
            await self._abort(context, grpc.StatusCode.INTERNAL, "unreadable")

    @staticmethod
    async def _abort(context: Any, code: grpc.StatusCode, detail: str) -> NoReturn:
        await context.abort(code, detail[:1000])
        raise RuntimeError("abort raises")


def _check(split: Split, *, rollback: bool) -> None:
    if rollback and not split.frozen:
        raise Refused("a rollback takes a frozen split")


async def serve_grpc(state: OrchestratorState, address: str, token: str = "") -> tuple[grpc.aio.Server, int]:
    """A started server on ``address`` (``host:port``, 0: any free one) and its port. The caller stops it."""
    options = [("grpc.max_receive_message_length", MAX_MESSAGE_BYTES)]
    server = grpc.aio.server(options=options, maximum_concurrent_rpcs=MAX_CALLS)
    pb_grpc.add_OptimizationActuatorServicer_to_server(ActuatorServicer(state, token), server)
    port = server.add_insecure_port(address)
    await server.start()
    return server, port
