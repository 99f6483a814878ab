"""The gRPC client of an Orchestrator or an Edge-Agent: ``OptimizationActuator`` of schemas/proto (requirements/004).

The same state, conditions and keys as over REST; what a status code asks of the caller is written in ``_error``.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import grpc
import grpc.aio

from app.adapters.gateways import configuration
from app.adapters.gateways.attempts import MAX_ANSWER_BYTES, attempted, seconds
from app.adapters.gateways.configuration import ConfigurationUpdate
from app.adapters.gateways.orchestrator import OrchestratorOptions
from app.adapters.proto import optimization_actuator_pb2 as pb
from app.adapters.proto import optimization_actuator_pb2_grpc as pb_grpc
from app.core import actuation
from app.core.ports import Ack, Applied, Capability, Conflict, GatewayError, Plan, Refused, Unavailable
from app.core.split import Split

STATUSES = frozenset(("applied", "unchanged", "ignored"))
RETRY_AFTER = "retry-after"
"""Trailing metadata with which a server says how long to wait, in seconds."""

_STRATEGIES = {"immediate": pb.IMMEDIATE, "canary": pb.CANARY, "blue_green": pb.BLUE_GREEN, "shadow": pb.SHADOW}
_CONFLICTS = frozenset((grpc.StatusCode.ABORTED, grpc.StatusCode.FAILED_PRECONDITION))
_WAIT = frozenset(
    (
        grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL, grpc.StatusCode.CANCELLED, grpc.StatusCode.DATA_LOSS,
    )
)  # fmt: skip
T = TypeVar("T")


class GrpcOptions(OrchestratorOptions, frozen=True, kw_only=True):
    """The same over gRPC."""

    name: str = "orchestrator-grpc"


class GrpcGateway:
    """``app.core.ports.Gateway`` over gRPC. ``url``: ``http://host:port`` (plain) or ``https://host:port`` (TLS).

    Bound to the running event loop; ``close`` ends the channel.
    """

    def __init__(self, options: GrpcOptions) -> None:
        self._options = options
        self._channel = _channel(options.url)
        self._stub: Any = pb_grpc.OptimizationActuatorStub(self._channel)
        self._metadata = (("authorization", f"Bearer {options.token}"),) if options.token else ()

    async def close(self) -> None:
        """End the channel; calls under way are cancelled."""
        await self._channel.close()

    @property
    def name(self) -> str:
        return self._options.name

    @property
    def capabilities(self) -> frozenset[Capability]:
        return self._options.capabilities

    def plan(self, current: Split | None, desired: Split) -> Plan:
        return actuation.plan(self.capabilities, current, desired)

    async def read(self, service: str) -> Applied | None:
        answer = await self._call(self._stub.GetCurrentConfiguration, pb.ConfigurationQuery(service_id=service))
        if answer is None:
            return None
        update = ConfigurationUpdate(answer.service_id, dict(answer.configuration))
        try:
            return Applied(configuration.split_of(update), _etag(answer.etag))
        except (ValueError, RecursionError) as error:
            raise Unavailable(f"the gateway's answer is unreadable: {error}") from error

    async def apply(self, split: Split, if_match: str | None, idempotency_key: str) -> Ack:
        update = configuration.update_of(split)
        request = pb.ConfigurationUpdateRequest(
            service_id=split.service,
            configuration=update.configuration,
            strategy=_STRATEGIES[update.deployment.strategy],
            rollout_percentage=round(update.deployment.initial_percentage),
            if_match=if_match or "",
            idempotency_key=idempotency_key,
        )
        return _ack(await self._call(self._stub.UpdateConfiguration, request))

    async def revert(self, split: Split, if_match: str | None, idempotency_key: str) -> Ack:
        request = pb.RollbackRequest(
            service_id=split.service,
            configuration=configuration.update_of(split).configuration,
            if_match=if_match or "",
            idempotency_key=idempotency_key,
        )
        return _ack(await self._call(self._stub.RollbackConfiguration, request))

    async def _call(self, method: Callable[..., Awaitable[T]], request: Any) -> T | None:
        """The answer, None for NOT_FOUND; other failures raise."""
        return await attempted(self._options, type(request).__name__, lambda: self._once(method, request))

    async def _once(self, method: Callable[..., Awaitable[T]], request: Any) -> T | None:
        try:
            return await method(request, timeout=self._options.timeout_s, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            if error.code() == grpc.StatusCode.NOT_FOUND:
                return None
            raise _error(error) from error


def _channel(url: str) -> grpc.aio.Channel:
    scheme, _, target = url.rstrip("/").partition("://")
    options = [("grpc.max_receive_message_length", MAX_ANSWER_BYTES), ("grpc.max_reconnect_backoff_ms", 5_000)]
    if scheme == "https":
        return grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(), options)
    return grpc.aio.insecure_channel(target, options)


def _error(error: grpc.aio.AioRpcError) -> GatewayError:
    text = f"{error.code().name} {(error.details() or '')[:500]}".rstrip()
    if error.code() in _CONFLICTS:
        return Conflict(text)
    if error.code() in _WAIT:
        return Unavailable(text, _retry_after_s(error))
    return Refused(text)


def _retry_after_s(error: grpc.aio.AioRpcError) -> float:
    given = dict(error.trailing_metadata() or ()).get(RETRY_AFTER, "")
    return seconds(given.decode(errors="replace") if isinstance(given, bytes) else given)


def _ack(answer: Any) -> Ack:
    if answer is None:
        raise Refused("the gateway knows neither the service nor a way to make it")
    if answer.status not in STATUSES:
        raise Unavailable(f"the gateway's answer is unreadable: status {answer.status[:50]!r}")
    return Ack(answer.status, _etag(answer.etag))


def _etag(etag: str) -> str:
    if not etag:
        raise Unavailable("the gateway's answer has no etag")
    return etag
