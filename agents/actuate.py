"""Stage 3: bring the gateway to the newest allowed split, service by service, and say what became of it.

Level-triggered: read what the gateway holds, let the core decide, do that one thing. Nothing is remembered that a
crash could lose; two actuators on one service are kept apart by the etag and do no harm.
"""

import asyncio
import logging

from app.core.actuation import Apply, Revert, idempotency_key
from app.core.actuator import Actuator
from app.core.ports import Gateway, GatewayError

log = logging.getLogger(__name__)

PARALLEL = 8
"""Services looked at together: a gateway that answers slowly holds up no more than these."""
LOOKS = 200
"""Services looked at in one call, so that the caller gets to write outcomes in between."""


async def actuate(engine: Actuator, gateway: Gateway, now: float, *, looks: int = LOOKS) -> int:
    """Look at every service that is due at ``now`` (seconds of a steady clock); returns how many were looked at."""
    due = engine.due(now, looks)
    for first in range(0, len(due), PARALLEL):
        await asyncio.gather(*(look(engine, gateway, service, now) for service in due[first : first + PARALLEL]))
    return len(due)


async def look(engine: Actuator, gateway: Gateway, service: str, now: float) -> None:
    """One service: read, decide, act."""
    split = None
    try:
        applied = await gateway.read(service)
        action = engine.decide(service, applied, now)
        if not isinstance(action, Apply | Revert):
            return
        split, if_match = action.split, action.if_match
        plan = gateway.plan(applied.split if applied else None, split)
        if engine.unsupported(service, split, plan, now):
            return
        send = gateway.revert if isinstance(action, Revert) else gateway.apply
        ack = await send(split, if_match, idempotency_key(split, if_match))
        engine.took(service, split, ack, now)
        log.info(
            "%s: version %d %s by %s: %s", service, split.version, ack.status, gateway.name, "; ".join(plan.changes)
        )
    except GatewayError as error:
        engine.failed(service, error, now, split)
        log.debug("%s: %s: %s", service, type(error).__name__, error)
