"""Orders: give one, list them (the audit log), look one up."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from app.adapters.readmodel.answers import CommandEvent
from app.api.context import Context, Reply
from app.api.orders import Accepted
from app.api.route import Route
from app.api.routes.common import OfPage, Params, Text, found, visible_or_404
from app.api.routes.decisions import accepted
from app.core.commands import Verb


class CommandsAsked(OfPage, frozen=True, kw_only=True):
    """Which orders."""

    command: Text = ""
    actor: Text = ""


class CommandPage(msgspec.Struct, frozen=True, kw_only=True):
    """Orders, newest first: who ordered what, and why."""

    commands: list[CommandEvent]
    next_cursor: str = ""


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One order. ``service`` ``*``: all (not for configure, approve, reject, promote). ``args`` as on llm.commands:
    set-mode {"mode"}, share-budget {"share", "group"}, freeze {"hold"}, configure {"document"}, approve, reject,
    promote, abort, rollback {"decision_id"}.
    """

    service: Annotated[str, Meta(min_length=1, max_length=200)]
    command: Verb
    args: dict[str, Any] = {}
    reason: Annotated[str, Meta(max_length=1000)] = ""


class OneCommand(Params, frozen=True, kw_only=True):
    """One order by the id of its event."""

    command_id: Annotated[str, Meta(min_length=1, max_length=200)]


async def give(context: Context, params: Params, body: Order) -> Reply:
    """Give an order."""
    wire = {"service": body.service, "command": body.command, "args": body.args, "reason": body.reason}
    return accepted(await context.parts.orders.give(context.identity, context.idempotency_key, wire))


async def list_commands(context: Context, params: CommandsAsked, body: None) -> CommandPage:
    """List orders, whoever gave them and whichever way they came."""
    wanted = params.wanted(context).where("command = ?", params.command).where("actor = ?", params.actor)
    commands, cursor = await context.ask(context.model.commands, wanted, params.cursor, params.limit)
    return CommandPage(commands=commands, next_cursor=cursor)


async def get_command(context: Context, params: OneCommand, body: None) -> CommandEvent:
    """Show one order."""
    what = f"command {params.command_id!r} (yet: a new one is a moment on its way)"
    order: CommandEvent = found(await context.ask(context.model.command, params.command_id), what)
    visible_or_404(context, order.service, what)
    return order


ROUTES = (
    Route(
        method="POST",
        path="/commands",
        handler=give,
        right="read",
        tag="Commands",
        own_check=True,
        status=202,
        answer=Accepted,
        errors=(409, 415, 422, 503),
        order=True,
    ),
    Route(method="GET", path="/commands", handler=list_commands, right="read", tag="Commands"),
    Route(
        method="GET", path="/commands/{command_id}", handler=get_command, right="read", tag="Commands", errors=(404,)
    ),
)
