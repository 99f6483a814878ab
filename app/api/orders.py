"""Orders of the API: each becomes one command event that names who gave it; a retry under one key is one order.

The id of the event is a function of the caller and the Idempotency-Key, so every replica finds an order that was given
at another as soon as its read model has it.
"""

import asyncio
from collections import OrderedDict
from typing import Any, Protocol

import msgspec

from app.adapters.kafka.command_log import CommandLogError
from app.adapters.readmodel.model import Model
from app.api.identity import Identity, Right
from app.api.problems import Problem
from app.core.commands import Command, CommandError, Verb, parse, to_json
from app.core.ids import stable_id

RIGHT: dict[Verb, Right] = {
    "approve": "approve",
    "reject": "approve",
    "configure": "administer",
    "set-mode": "administer",
    "rebaseline": "administer",
    "experiment.start": "administer",
    "share-budget": "administer",
}
"""What an order needs; every other one needs ``operate``."""
MAX_REMEMBERED = 10_000
MAX_KEY = 200


class Log(Protocol):
    """Where commands go (``CommandLog``)."""

    def send(self, command: Command, *, id_: str = "", extensions: dict[str, str] = {}) -> str:  # noqa: B006  # a shape
        """Append it; returns its event id. Raises ``CommandLogError``."""


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """An order is in the log. What becomes of it is said on llm.optimizations, see /decisions and /commands/{id}."""

    id: str
    service: str
    command: str
    actor: str
    replayed: bool = False


class Orders:
    """Sends commands. Mutable: remembers the keys of late."""

    def __init__(self, log: Log, model: Model) -> None:
        self._log, self._model = log, model
        self._known: OrderedDict[str, bytes] = OrderedDict()
        self._sending: set[str] = set()
        self.sent = 0

    async def give(self, who: Identity, key: str, wire: dict[str, Any]) -> Accepted:
        """Check and send the command ``wire`` (service, command, args, reason) in the name of ``who``.

        ``Problem``: 400 not a command, 403 not allowed, 409 the same key is being used, 422 the key was used for
        another order, 503 the broker does not take it.
        """
        command = checked(who, wire)
        value = to_json(command)
        identity = stable_id("api-command", who.name, key) if key else ""
        if identity:
            if len(key) > MAX_KEY:
                raise Problem(400, "bad_request", f"Idempotency-Key: at most {MAX_KEY} characters")
            if identity in self._sending:
                raise Problem(409, "in_progress", "an order with this Idempotency-Key is being given", retry_after_s=1)
            if await self._given(identity, value):
                return _accepted(identity, command, replayed=True)
        return _accepted(await self._send(identity, command, value, who), command)

    async def _given(self, identity: str, value: bytes) -> bool:
        known = self._known.get(identity)
        if known is None:
            logged = await asyncio.to_thread(self._model.command, identity)
            if logged is None:
                return False
            wire = {n: getattr(logged, n) for n in ("service", "command", "args", "actor", "reason")}
            known = to_json(parse(msgspec.json.encode(wire)))
        if known != value:
            raise Problem(
                422, "idempotency_key_reused", "this Idempotency-Key was used for another order: take a new one"
            )
        return True

    async def _send(self, identity: str, command: Command, value: bytes, who: Identity) -> str:
        self._sending.add(identity)
        auth = {"authtype": who.kind, "authid": who.name}  # CloudEvents extension "Auth Context"
        try:
            sent = await asyncio.to_thread(self._log.send, command, id_=identity, extensions=auth)
        except CommandLogError as error:
            raise Problem(503, "broker_unavailable", str(error), retry_after_s=5) from None
        finally:
            self._sending.discard(identity)
        self.sent += 1
        if identity:
            self._known[identity] = value
            if len(self._known) > MAX_REMEMBERED:
                self._known.popitem(last=False)
        return sent


def checked(who: Identity, wire: dict[str, Any]) -> Command:
    """The command ``wire`` with its actor, if ``who`` may give it. ``Problem`` 400, 403."""
    try:
        command = parse(msgspec.json.encode({**wire, "actor": who.name}))
    except CommandError as error:
        raise Problem(400, "bad_command", str(error)) from None
    right = RIGHT.get(command.command, "operate")
    if not who.may(right, command.service):
        raise Problem(
            403,
            "forbidden",
            f"{command.command} of {command.service!r} needs the right to {right}",
            details={"right": right, "service": command.service},
        )
    return command


def _accepted(identity: str, command: Command, *, replayed: bool = False) -> Accepted:
    return Accepted(
        id=identity, service=command.service, command=command.command, actor=command.actor, replayed=replayed
    )
