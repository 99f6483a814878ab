"""Decisions and outcomes as a subscriber of ``llm.optimizations`` meets them: the event's type gives the status, the
data is kept whole, whatever a newer version may have added.
"""

from typing import Any

import msgspec

from app.adapters.codec.media import reader
from app.adapters.codec.reasons import UnreadableError
from app.adapters.kafka.subscriber import Seen
from app.core import outputs
from app.core.events import rfc3339

STATUSES = {
    outputs.PROPOSED: "proposed",
    outputs.DECIDED: "decided",
    outputs.REFUSED: "refused",
    outputs.ACCEPTED: "accepted",
    outputs.VERIFIED: "verified",
    outputs.FAILED: "failed",
    outputs.ROLLED_BACK: "rolled-back",
    outputs.COMPLETED: "completed",
    outputs.EXPERIMENT_STARTED: "started",
    outputs.EXPERIMENT_COMPLETED: "completed",
}
DECISIONS = frozenset({"proposed", "decided", "refused"})


class Told(msgspec.Struct, frozen=True):
    """One event. ``time`` is RFC 3339: event time of a decision, the broker's time where the event has none.

    ``raw`` are the bytes of its data.
    """

    id: str
    type: str
    status: str
    time: str
    service: str
    data: dict[str, Any]
    raw: bytes = b""

    @property
    def is_decision(self) -> bool:
        """A decision, as opposed to an outcome."""
        return self.status in DECISIONS

    @property
    def decision_id(self) -> str:
        """The decision it is or is about."""
        return str(self.data.get("decision_id", ""))

    @property
    def action(self) -> str:
        """What was decided; empty for an outcome."""
        return str(self.data.get("action", ""))

    @property
    def challenger(self) -> str:
        """The arm a decision is about; empty where it is about none."""
        evidence = self.data.get("evidence") or {}
        trial = (self.data.get("split") or {}).get("trial") or {}
        return str(evidence.get("challenger") or trial.get("arm") or "")

    @property
    def rationale(self) -> str:
        """The sentence for people; for an outcome its error, if any."""
        return str(self.data.get("rationale") or self.data.get("error") or "")


def told(seen: Seen) -> Told | None:
    """The decision or outcome in a record; None when it is another event or cannot be read."""
    if seen.type not in STATUSES:
        return None
    try:
        body = reader(_text(seen.headers, "content-type"))(seen.value)
    except UnreadableError:
        return None
    when = seen.time or rfc3339(max(0, seen.append_ms) // 1000)
    return Told(seen.id, seen.type, STATUSES[seen.type], when, str(body.get("service", seen.key)), body, seen.value)


def _text(headers: tuple[tuple[str, bytes], ...], name: str) -> str:
    return next((value.decode("utf-8", "replace") for key, value in headers if key == name), "")
