"""Stage 3: bring the gateway to the newest allowed split, service by service, and say what became of it.

Level-triggered: read what the gateway holds, let the core decide, do that one thing. Nothing is remembered that a
crash could lose; two actuators on one service are kept apart by the etag and do no harm.
"""

import asyncio
import logging

from app.adapters.gateways.desired import DesiredGateway, DesiredState
from app.core.actuation import Apply, Revert, idempotency_key
from app.core.actuator import Actuator, Rules
from app.core.batch import Batch
from app.core.freeze import Freezes
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


class Mirror:
    """Keeps what one process offers (``DesiredState``) at the newest allowed split of every service, owned or not.

    The same engine as the gateways', so a freeze holds here as well. It writes no outcomes: a service's owner does.
    """

    RECHECK_S = 60.0

    def __init__(self, desired: DesiredState, freezes: Freezes, max_services: int) -> None:
        self._desired, self._gateway = desired, DesiredGateway(desired, "mirror")
        self._engine = Actuator(Rules(gateway="mirror", recheck_s=self.RECHECK_S, max_services=max_services), freezes)
        self._read = False

    def fold(self, batch: Batch) -> None:
        """Splits of any partition."""
        self._engine.fold(batch)

    def complete(self) -> None:
        """The end of every partition, as of the start, was folded."""
        self._read = True

    async def tick(self, now: float) -> None:
        """Offer what is newer than what is on offer."""
        looked = await actuate(self._engine, self._gateway, now)
        self._engine.acked(self._engine.cut())
        if self._read and self._engine.freezes.known and looked < LOOKS:
            self._desired.complete = True
