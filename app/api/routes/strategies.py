"""Strategies of requirements/001 that somebody registers: they are built in, and a service's document chooses."""

import asyncio
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from app.api.context import Context, Reply
from app.api.problems import Problem
from app.api.route import Route
from app.api.routes.common import Params, ServiceName, found
from app.api.routes.services import read
from app.core.document import StrategyName, to_object


class StrategyRegistration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Have a service try what one of the built-in strategies proposes. ``configuration``: the keys of ``[strategy]`` in
    the service document (backup, choose, tune, task, prompt). ``enabled`` false: back to ``hybrid``, every source of
    arms. No code of a caller is ever called, so webhook_url is refused; applicable_models as well: the arms say it.
    """

    service: ServiceName
    strategy_id: StrategyName
    name: Annotated[str, Meta(max_length=200)] = ""
    description: Annotated[str, Meta(max_length=1000)] = ""
    enabled: bool = True
    configuration: dict[str, Any] = {}
    applicable_models: list[str] = []
    webhook_url: str = ""


class StrategyRegistered(msgspec.Struct, frozen=True, kw_only=True):
    """``validation`` passed: the document with this strategy is a valid one. ``command_id``: its order."""

    strategy_id: str
    status: Literal["registered"]
    validation: Literal["passed"]
    service: str
    command_id: str


async def register_strategy(context: Context, params: Params, body: StrategyRegistration) -> Reply:
    """Choose the strategy of a service."""
    context.require("administer", body.service)
    refused = [name for name in ("applicable_models", "webhook_url") if getattr(body, name)]
    if refused:
        why = f"leave out {', '.join(refused)}: see the description"
        raise Problem(422, "not_supported", why, details={"fields": refused})
    what = f"document of {body.service!r} yet: apply one first"
    document = to_object(found(await asyncio.to_thread(context.model.document, body.service), what))
    chosen = {"name": body.strategy_id} if body.enabled else {"name": "hybrid"}
    document["strategy"] = {**document.get("strategy", {}), **body.configuration, **chosen}
    wire = {
        "service": body.service,
        "command": "configure",
        "args": {"document": to_object(read(body.service, document))},
        "reason": f"strategy {body.name or body.strategy_id}",
    }
    order = await context.parts.orders.give(context.identity, context.idempotency_key, wire)
    made = StrategyRegistered(
        strategy_id=body.strategy_id,
        status="registered",
        validation="passed",
        service=body.service,
        command_id=order.id,
    )
    return Reply(made, 201, {"Location": f"/api/v1/commands/{order.id}"})


ROUTES = (
    Route(
        method="POST",
        path="/optimization/strategies",
        handler=register_strategy,
        right="administer",
        tag="Optimization",
        own_check=True,
        status=201,
        answer=StrategyRegistered,
        errors=(404, 409, 415, 422, 503),
        order=True,
    ),
)
