"""What a gateway keeps: one split per service, with etags, idempotency keys and the rule that older versions lose.

Mutable and synchronous: the in-memory gateway and the reference Orchestrator are built on it. An etag names one state
and never comes back, so putting a split back after a change is not mistaken for a repetition.
"""

from collections import OrderedDict

import msgspec

from app.adapters.gateways.soundness import unsound
from app.core.actuation import newness
from app.core.ids import stable_id
from app.core.ports import Ack, Applied, Conflict, Refused
from app.core.split import Split, encode

MAX_SERVICES = 10_000
MAX_KEYS = 10_000
"""Idempotency keys remembered; the oldest is forgotten first (then If-Match still guards against a second act)."""


class KeyReused(Refused):
    """The idempotency key came before with another body."""


class Full(Refused):
    """No room for another service."""


class Answered(msgspec.Struct, frozen=True):
    """The first answer to an idempotency key."""

    fingerprint: str
    ack: Ack


class SplitStore:
    """Splits by service. ``changes`` counts the states there ever were: one more for every split put or removed."""

    def __init__(self, *, max_services: int = MAX_SERVICES, max_keys: int = MAX_KEYS) -> None:
        self.changes = 0
        self._max_services = max_services
        self._max_keys = max_keys
        self._applied: dict[str, Applied] = {}
        self._answered: OrderedDict[str, Answered] = OrderedDict()

    def services(self) -> tuple[str, ...]:
        """All services, sorted."""
        return tuple(sorted(self._applied))

    def read(self, service: str) -> Applied | None:
        """What ``service`` has."""
        return self._applied.get(service)

    def put(self, split: Split, if_match: str | None = None, key: str = "", *, must_be_new: bool = False) -> Ack:
        """Take ``split`` unless it is older than what is there.

        ``if_match``: the etag to be replaced. ``must_be_new``: there must be nothing yet. ``key`` "": no idempotency.
        Raises Conflict (another state, or other content under the same version without ``if_match``) or Refused
        (not sound, key reused, no room).
        """
        fingerprint = stable_id(encode(split), if_match, must_be_new)
        before = self._answered.get(key) if key else None
        if before is not None:
            if before.fingerprint != fingerprint:
                raise KeyReused(f"idempotency key {key!r} was used with another body; take a new key")
            return before.ack
        if fault := unsound(split):
            raise Refused(fault)
        ack = self._put(split, if_match, must_be_new)
        if key:
            self._remember(key, Answered(fingerprint, ack))
        return ack

    def remove(self, service: str, if_match: str | None = None) -> bool:
        """Forget ``service``; False when it is not there. Raises Conflict when its etag is not ``if_match``."""
        held = self._applied.get(service)
        if held is None:
            return False
        if if_match is not None and held.etag != if_match:
            raise Conflict(_changed(service, if_match, held))
        del self._applied[service]
        self.changes += 1
        return True

    def clear(self) -> None:
        """Lose everything, as a restart without a disk does."""
        self._applied.clear()
        self._answered.clear()
        self.changes += 1

    def _put(self, split: Split, if_match: str | None, must_be_new: bool) -> Ack:
        held = self._applied.get(split.service)
        if must_be_new and held is not None:
            raise Conflict(f"{split.service} has a split already ({held.etag}): read it and send If-Match")
        if if_match is not None and (held is None or held.etag != if_match):
            raise Conflict(_changed(split.service, if_match, held))
        if held is None:
            return self._keep(split)
        if newness(split) < newness(held.split):
            return Ack("ignored", held.etag)
        if split == held.split:
            return Ack("unchanged", held.etag)
        if newness(split) == newness(held.split) and if_match is None:
            raise Conflict(
                f"{split.service} has other content under version {split.version}: send If-Match to replace it"
            )
        return self._keep(split)

    def _keep(self, split: Split) -> Ack:
        if split.service not in self._applied and len(self._applied) >= self._max_services:
            raise Full(f"there is room for {self._max_services} services; delete one first")
        self.changes += 1
        etag = f"{self.changes}-{stable_id(encode(split))[:16]}"
        self._applied[split.service] = Applied(split, etag)
        return Ack("applied", etag)

    def _remember(self, key: str, answered: Answered) -> None:
        self._answered[key] = answered
        if len(self._answered) > self._max_keys:
            self._answered.popitem(last=False)


def _changed(service: str, if_match: str, held: Applied | None) -> str:
    return f"{service} is at {held.etag if held else 'nothing'}, not at {if_match}: read it again"
