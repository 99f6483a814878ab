"""What the reference Orchestrator answers: one function per route, over ``OrchestratorState``."""

from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import hdrs, web

from app.adapters.gateways import configuration
from app.adapters.gateways.configuration import ConfigurationUpdate, split_of, update_of
from app.adapters.gateways.soundness import unsound
from app.core.ids import stable_id
from app.core.ports import Ack, Applied, Conflict, Refused
from app.core.split import Split
from app.sim.orchestrator_state import Faults, OrchestratorState, RouteRequest
from app.sim.problems import Problem

MAX_KEY = 300

STATE: web.AppKey[OrchestratorState] = web.AppKey("state", OrchestratorState)
ROUTING: web.AppKey["RoutingState"] = web.AppKey("routing")


class RoutingState(msgspec.Struct):
    """What the last routing update was called and when it came. Mutable."""

    config_id: str = ""
    version: str = ""
    last_updated: str = ""


class RoutingUpdate(msgspec.Struct, frozen=True):
    """Body of ``PUT /api/v1/config/routing``: one rule, a configuration update, for each service."""

    routing_rules: list[ConfigurationUpdate]
    version: str
    effective_time: str = ""


# ---- configuration


async def get_configuration(request: web.Request) -> web.Response:
    """The update that would lead to what is there, with its ETag; 304 when the caller has it."""
    held = request.app[STATE].read(_service(request))
    if held is None:
        raise _unknown(_service(request))
    if _etags(request, hdrs.IF_NONE_MATCH) == held.etag:
        return web.Response(status=304, headers={hdrs.ETAG: _quoted(held.etag)})
    return _configured(held)


async def put_configuration(request: web.Request) -> web.Response:
    """Take the split of the body; 201 when the service had none."""
    update = await _body(request, ConfigurationUpdate)
    service = request.match_info.get("service_id")
    if service is not None and service != update.service_id:
        raise Problem(400, "unreadable", f"service_id is {update.service_id!r}, the path says {service!r}")
    partial = "split" not in update.configuration and update.deployment.initial_percentage < 100
    return _take(request, split_of(update), "served to all traffic: a share needs configuration.split" * partial)


async def delete_configuration(request: web.Request) -> web.Response:
    """Forget a service; traffic to it is no longer routed."""
    service = _service(request)
    if not request.app[STATE].remove(service, _if_match(request, service)):
        raise _unknown(service)
    return web.Response(status=204)


async def roll_back(request: web.Request) -> web.Response:
    """With a body: take its frozen split. Without: take back the open trial of what is there."""
    service, state = _service(request), request.app[STATE]
    if request.can_read_body:
        split = split_of(await _body(request, ConfigurationUpdate))
        if not split.frozen or split.service != service:
            raise Refused(f"a rollback takes a frozen split of {service!r}")
        return _take(request, split)
    held = state.read(service)
    if held is None:
        raise _unknown(service)
    expected = _if_match(request, service)
    if expected is not None and expected != held.etag:
        raise Conflict(f"{service} is at {held.etag}, not at {expected}: read it again")
    return _taken(state, service, state.rollback(service))


def _take(request: web.Request, split: Split, detail: str = "") -> web.Response:
    state = request.app[STATE]
    key = request.headers.get("Idempotency-Key", "")
    if len(key) > MAX_KEY:
        raise Problem(400, "unreadable", f"Idempotency-Key: longer than {MAX_KEY} characters")
    created = state.read(split.service) is None
    must_be_new = request.headers.get(hdrs.IF_NONE_MATCH) == "*"
    ack = state.apply(split, _if_match(request, split.service), key, must_be_new=must_be_new)
    if state.faults.lost_answer and request.transport is not None:
        request.transport.abort()
    return _taken(state, split.service, ack, created=created, detail=detail)


def _taken(
    state: OrchestratorState, service: str, ack: Ack, *, created: bool = False, detail: str = ""
) -> web.Response:
    held = state.read(service)
    version = held.split.version if held is not None else None
    if ack.status == "ignored":
        detail = f"version {version} is there already and is newer"
    body = {"service_id": service, "status": ack.status, "version": version, "etag": ack.etag, "detail": detail}
    return _json(body, status=201 if created else 200, etag=ack.etag)


def _configured(held: Applied) -> web.Response:
    body = {**msgspec.to_builtins(update_of(held.split)), "version": held.split.version, "status": "active"}
    return _json(body, etag=held.etag)


# ---- routing configuration (requirements/001)


async def put_routing(request: web.Request) -> web.Response:
    """Take the splits of all rules, or none: every rule is checked first. Nothing is scheduled for later."""
    update = await _body(request, RoutingUpdate)
    if update.effective_time and _moment(update.effective_time) > datetime.now(UTC):
        raise Refused("effective_time is in the future: this Orchestrator schedules nothing, send it when it is due")
    splits = [split_of(rule) for rule in update.routing_rules]
    for split in splits:
        if fault := unsound(split):
            raise Refused(f"routing_rules[{split.service}]: {fault}")
    state, warnings = request.app[STATE], []
    for split in splits:
        try:
            if state.apply(split).status == "ignored":
                warnings.append(f"{split.service}: version {split.version} is older than what is there")
        except Conflict as conflict:
            warnings.append(str(conflict))
    routing = request.app[ROUTING]
    routing.version, routing.last_updated = update.version, datetime.now(UTC).isoformat(timespec="seconds")
    routing.config_id = "cfg-" + stable_id(update.version, *map(configuration.encode, update.routing_rules))[:12]
    result = {"valid": True, "warnings": warnings}
    body = {**msgspec.to_builtins(routing), "status": "active", "validation_result": result}
    return _json({**body, "effective_time": update.effective_time or routing.last_updated})


async def get_routing(request: web.Request) -> web.Response:
    """Every service's configuration as one list of rules."""
    state = request.app[STATE]
    held = (state.read(service) for service in state.store.services())
    rules = [update_of(applied.split) for applied in held if applied is not None]
    return _json({**msgspec.to_builtins(request.app[ROUTING]), "routing_rules": rules, "status": "active"})


# ---- traffic, health, faults


async def route(request: web.Request) -> web.Response:
    """Where one request goes (``RouteRequest`` -> ``Routed``); 404 when the service has no split."""
    asked = await _body(request, RouteRequest)
    routed = request.app[STATE].route(asked)
    if routed is None:
        raise _unknown(asked.service)
    return _json(routed)


async def health(request: web.Request) -> web.Response:
    """Alive, and how many services are configured."""
    return _json({"status": "ok", "services": len(request.app[STATE].store.services())})


async def put_faults(request: web.Request) -> web.Response:
    """Replace the faults (``Faults``; a field left out is off)."""
    state = request.app[STATE]
    state.faults = await _body(request, Faults)
    return _json(state.faults)


# ---- reading and writing


async def _body(request: web.Request, type_: Any) -> Any:
    return msgspec.json.decode(await request.read(), type=type_)


def _json(body: Any, *, status: int = 200, etag: str = "") -> web.Response:
    headers = {hdrs.ETAG: _quoted(etag)} if etag else {}
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json", headers=headers)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"effective_time has no UTC offset: {text[:40]!r}")
    return moment


def _service(request: web.Request) -> str:
    return request.match_info["service_id"]


def _unknown(service: str) -> Problem:
    return Problem(404, "unknown service", f"{service!r} has no configuration here")


def _quoted(etag: str) -> str:
    return f'"{etag}"'


def _etags(request: web.Request, header: str) -> str:
    return request.headers.get(header, "").strip().removeprefix("W/").strip('"')


def _if_match(request: web.Request, service: str) -> str | None:
    """The etag to be replaced; ``*`` means whatever is there, which must be something."""
    if hdrs.IF_MATCH not in request.headers:
        return None
    if (wanted := _etags(request, hdrs.IF_MATCH)) != "*":
        return wanted
    held = request.app[STATE].read(service)
    if held is None:
        raise Conflict(f"{service} has no configuration to replace")
    return held.etag
