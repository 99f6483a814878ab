"""The AI Gateway of MLflow over REST (3.17, ``/api/3.0/mlflow/gateway``): one endpoint per service, weights by model.

It draws per request and by weights alone: a challenger beside the others, no slices, no sessions, no segments. It knows
no conditional writes: the state is compared right before it is replaced, which leaves one round trip in which another
writer is not seen; the next look at the gateway finds what he did. Its processes cache endpoints, so an update that was
answered is served up to a minute later: it is *taken* once MLflow's own counts of requests by model show it.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
import msgspec

from app.adapters.gateways import mlflow_endpoint as endpoints
from app.adapters.gateways.attempts import CallOptions
from app.adapters.gateways.http_calls import Answer, HttpCalls
from app.adapters.gateways.mlflow_endpoint import Endpoint, Kept, ModelDefinition
from app.adapters.gateways.mlflow_traffic import Traffic
from app.adapters.gateways.soundness import unsound
from app.core import actuation
from app.core.actuation import newness
from app.core.ports import Ack, Applied, Capability, Conflict, Plan, Refused, Unavailable
from app.core.split import Split

API = "/api/3.0/mlflow"
MAX_KNOWN = 10_000
"""Services whose propagation is remembered; the one looked at longest ago is forgotten first, and verified again."""


class MlflowOptions(CallOptions, frozen=True, kw_only=True):
    """``cache_s``: for how long MLflow serves what it read (--secrets-cache-ttl)."""

    name: str = "mlflow"
    cache_s: float = 60.0


class _Endpoint(msgspec.Struct, frozen=True):
    endpoint: Endpoint


class _Definitions(msgspec.Struct, frozen=True):
    model_definitions: tuple[ModelDefinition, ...] = ()


class MlflowGateway:
    """``app.core.ports.Gateway`` over HTTP. The caller owns ``session``. ``clock``: steady, in seconds."""

    def __init__(
        self, session: aiohttp.ClientSession, options: MlflowOptions, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._call = HttpCalls(session, options)
        # what is not the same when it is done twice: the actuator reads before it tries again
        self._act = HttpCalls(session, msgspec.structs.replace(options, attempts=1))
        self._options, self._clock = options, clock
        self._base = options.url.rstrip("/") + API
        self._traffic: OrderedDict[str, Traffic] = OrderedDict()

    @property
    def name(self) -> str:
        return self._options.name

    @property
    def capabilities(self) -> frozenset[Capability]:
        return frozenset(("weights", "single_challenger"))

    def plan(self, current: Split | None, desired: Split) -> Plan:
        return actuation.plan(self.capabilities, current, desired)

    async def read(self, service: str) -> Applied | None:
        endpoint = await self._get(service)
        kept = _held(endpoint)
        if endpoint is None or kept is None:
            return None
        split = endpoints.in_force(endpoint, kept)
        taken = split != kept.split or await self._taken(service, endpoint, kept)
        return Applied(split, endpoint.etag, taken)

    async def apply(self, split: Split, if_match: str | None, idempotency_key: str) -> Ack:
        if fault := unsound(split) or self._unable(split):
            raise Refused(fault)
        endpoint = await self._get(split.service)
        id_ = endpoints.split_id(split)
        if (before := _answered(endpoint, split, id_, if_match, idempotency_key)) is not None:
            return before
        definitions = endpoints.definitions_of(split, await self._definitions())
        configs = endpoints.configs_of(split, definitions, endpoint)
        models = {arm: f"{one.provider}/{one.model_name}" for arm, one in definitions.items()}
        at = endpoint or await self._prepared(split.service, configs)
        await self._keep(at, id_, Kept(split, models))
        _unchanged(await self._get(split.service), endpoint)
        body: dict[str, Any] = {
            "endpoint_id": at.endpoint_id,
            "name": endpoints.endpoint_name(split.service),
            "model_configs": configs,
            "routing_strategy": endpoints.TRAFFIC_SPLIT,
            "updated_by": endpoints.reference(id_, idempotency_key),
        }
        if at.fallback_config:
            body["fallback_config"] = at.fallback_config
        if endpoint is None:
            body["usage_tracking"] = True
        try:
            updated = _read(await self._post("/gateway/endpoints/update", body, self._act), _Endpoint).endpoint
        except Refused:
            _unchanged(await self._get(split.service), endpoint)  # somebody else took the name meanwhile
            raise
        return Ack("applied", updated.etag, taken=False)

    async def revert(self, split: Split, if_match: str | None, idempotency_key: str) -> Ack:
        if not split.frozen:
            raise Refused("a revert must be frozen")
        return await self.apply(split, if_match, idempotency_key)

    def _unable(self, split: Split) -> str:
        missing = [one for one in self.plan(None, split).unsupported if one != "sticky"]
        if missing:
            return f"this gateway cannot do: {', '.join(missing)}"
        if len(split.weights) > 1:
            return "weights: this gateway has no segments, all requests of a service share the weights of `*`"
        return ""

    # ---- propagation
    async def _taken(self, service: str, endpoint: Endpoint, kept: Kept) -> bool:
        """Whether traffic follows. Asked of MLflow's counts until it does, then remembered for this very state."""
        traffic = self._traffic.pop(service, None)
        if traffic is None or traffic.etag != endpoint.etag:
            before = _before(endpoint, kept)
            traffic = Traffic(endpoint, kept, before, self._options.cache_s, self._clock(), traffic)
        self._traffic[service] = traffic
        while len(self._traffic) > MAX_KNOWN:
            self._traffic.popitem(last=False)
        now = self._clock()
        if traffic.due(now):
            asked = traffic.question()
            traffic.learn(now, (await self._post("/traces/metrics", asked)).body if asked is not None else b"")
        return traffic.followed

    # ---- calls
    async def _get(self, service: str) -> Endpoint | None:
        return await self._named(endpoints.endpoint_name(service))

    async def _named(self, name: str) -> Endpoint | None:
        url = f"{self._base}/gateway/endpoints/get?{urlencode({'name': name}, quote_via=quote)}"
        answer = await self._call("GET", url)
        return None if answer.status == 404 else _read(answer, _Endpoint).endpoint

    async def _definitions(self) -> Sequence[ModelDefinition]:
        answer = await self._call("GET", f"{self._base}/gateway/model-definitions/list")
        found: _Definitions = _read(answer, _Definitions)
        return found.model_definitions

    async def _prepared(self, service: str, configs: endpoints.Configs) -> Endpoint:
        """An endpoint nobody calls yet: renaming it is the one act by which the service's endpoint appears."""
        name = f"{endpoints.endpoint_name(service)}.{endpoints.WHO}-prepared"
        left = await self._named(name)
        if left is not None:
            return left
        body = {"name": name, "model_configs": configs, "usage_tracking": False, "created_by": endpoints.WHO}
        try:
            made: _Endpoint = _read(await self._post("/gateway/endpoints/create", body, self._act), _Endpoint)
        except Refused:
            if await self._named(name) is None:
                raise
            raise Conflict(f"somebody else prepares the endpoint of {service}: read it again") from None
        return made.endpoint

    async def _keep(self, endpoint: Endpoint, id_: str, kept: Kept) -> None:
        """Put ``kept`` into the endpoint's tags, and take out what is neither it nor in force."""
        wanted = {tag.key: tag.value for tag in endpoints.tags_of(kept, id_)}
        there = {tag.key: tag.value for tag in endpoint.tags}
        in_force = f"{endpoints.TAG}{endpoints.referred(endpoint)[0] or id_}."
        for key in sorted(there.keys() - wanted.keys()):
            if key.startswith(endpoints.TAG) and not key.startswith(in_force):
                url = f"{self._base}/gateway/endpoints/delete-tag"
                await self._call("DELETE", url, *_json({"endpoint_id": endpoint.endpoint_id, "key": key}))
        for key, value in wanted.items():
            if there.get(key) != value:
                tag = {"endpoint_id": endpoint.endpoint_id, "key": key, "value": value}
                await self._post("/gateway/endpoints/set-tag", tag)

    async def _post(self, path: str, body: dict[str, Any], call: HttpCalls | None = None) -> Answer:
        answer = await (call or self._call)("POST", self._base + path, *_json(body))
        if answer.status == 404:
            raise Conflict(f"POST {path}: what it is about is gone, or this is no MLflow with an AI Gateway")
        return answer


def _json(body: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
    return msgspec.json.encode(body), {"Content-Type": "application/json"}


def _read(answer: Answer, type_: Any) -> Any:
    try:
        return msgspec.json.decode(answer.body, type=type_)
    except (ValueError, RecursionError) as error:
        raise Unavailable(f"the gateway's answer is unreadable: {error}") from error


def _held(endpoint: Endpoint | None) -> Kept | None:
    """The split in force; None for an endpoint that never had one of ours. After a change by hand, the newest kept."""
    if endpoint is None:
        return None
    kept = endpoints.kept_in(endpoint)
    referred = kept.get(endpoints.referred(endpoint)[0])
    return referred or max(kept.values(), key=lambda one: newness(one.split), default=None)


def _before(endpoint: Endpoint, kept: Kept) -> Kept | None:
    """The split that was in force before, as far as it is kept."""
    others = [one for one in endpoints.kept_in(endpoint).values() if one.split != kept.split]
    return max(others, key=lambda one: newness(one.split), default=None)


def _answered(endpoint: Endpoint | None, split: Split, id_: str, if_match: str | None, key: str) -> Ack | None:
    """The answer when there is nothing to write; None when there is. Raises Conflict, Refused."""
    kept = _held(endpoint)
    if endpoint is None or kept is None:
        if if_match is not None:
            raise Conflict(f"{split.service} has nothing there, not {if_match}: read it again")
        return None
    if endpoints.reference("", key).rpartition("/")[2] == endpoints.referred(endpoint)[1]:
        if endpoints.referred(endpoint)[0] == id_:
            return Ack("applied", endpoint.etag, taken=False)
        raise Refused(f"idempotency key {key!r} was used with another split; take a new key")
    if if_match is None:
        raise Conflict(f"{split.service} has a split already ({endpoint.etag}): read it and send its etag")
    if if_match != endpoint.etag:
        raise Conflict(f"{split.service} is at {endpoint.etag}, not at {if_match}: read it again")
    if newness(split) < newness(kept.split):
        return Ack("ignored", endpoint.etag)
    if split == endpoints.in_force(endpoint, kept):
        return Ack("unchanged", endpoint.etag, taken=False)
    return None


def _unchanged(now: Endpoint | None, before: Endpoint | None) -> None:
    """Raises Conflict when somebody wrote since ``before`` was read."""
    if (now and now.etag) != (before and before.etag):
        raise Conflict("somebody changed the endpoint at the same time: read it again")
