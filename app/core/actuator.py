"""The engine of one ``llm.splits`` partition: newest split per service, what is due, and the outcomes to write.

Mutable. Its state is a function of the log and of what the gateway answered since; it starts at the log start, never
commits, and after a crash learns from the gateway itself what was done. ``now`` is any steady clock in seconds.
"""

from collections import Counter

import msgspec

from app.core import split as splits
from app.core.actuation import Action, Apply, Desired, Nothing, OnDrift, Revert, newness, next_action
from app.core.batch import Batch
from app.core.freeze import Freeze, Freezes
from app.core.outputs import ACCEPTED, FAILED
from app.core.ports import (
    Ack,
    Applied,
    Capability,
    Conflict,
    Cut,
    GatewayError,
    Plan,
    Point,
    Record,
    Refused,
    Unavailable,
)
from app.core.reports import drift_record, outcome_record
from app.core.split import Split

MAX_PENDING = 10_000
"""Records waiting for a cut; beyond it they are left out and counted, and said at a later look at the gateway."""

OFFERED_S = 0.5
"""How often a split that was put, but is not in use yet, is looked at. Reading what is only offered costs no call."""


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """How one gateway is driven. Seconds; ``max_services`` of one partition, more are refused and counted.

    ``capabilities``: what the gateway can do, told in every outcome.
    ``offered_s``: how often a split that is not in use yet is looked at.
    """

    gateway: str
    recheck_s: float = 5.0
    deadline_s: float = 300.0
    backoff_s: float = 1.0
    backoff_limit_s: float = 30.0
    on_drift: OnDrift = "reapply"
    max_services: int = 10_000
    capabilities: tuple[Capability, ...] = ()
    offered_s: float = OFFERED_S


class Rollout(msgspec.Struct):
    """One service on its way to its newest split.

    ``put``: the last split the gateway is known to have had from us. ``wanting_s``: since when it is known to lack the
    newest. ``left``: the switch under which a change by hand was found and left; ``taken_back``: resumed, put it back.
    ``said``: outcomes written since the newest decision came. ``drift``: etag of the last drift told.
    """

    split: Split
    append_ms: int
    freeze: Freeze
    put: Split | None = None
    attempts: int = 0
    due_s: float = 0.0
    not_before_s: float = 0.0
    wanting_s: float | None = None
    left: Freeze | None = None
    taken_back: bool = False
    said: set[tuple[str, str, bool]] = set()
    drift: str = ""


class Actuator:
    """``app.core.ports.Engine`` of one partition, and the bookkeeping of ``agents.actuate``.

    ``counts``: applied, reverted, ignored, conflicts, unavailable, refused, drifted, unreadable, over_limit, left_out.
    """

    def __init__(self, rules: Rules, freezes: Freezes, start: int = 0) -> None:
        self.rules = rules
        self.freezes = freezes
        self.position = start
        self.point = Point(start, "")
        self.rollouts: dict[str, Rollout] = {}
        self.counts: Counter[str] = Counter()
        self._pending: list[Record] = []

    @property
    def recovered(self) -> bool:
        """Whether every freeze and resume as of the start is known: before, no gateway is called."""
        return self.freezes.known

    # ---- the log

    def fold(self, batch: Batch) -> None:
        """Keep the newest split of every service; a tombstone forgets the service."""
        for index, value in enumerate(batch.values):
            if value is None:
                self._forget(batch.keys[index] if batch.keys else None)
            else:
                self._take(value, batch.append_ms(batch.offset(index)))
        self.position = batch.end

    def _take(self, value: bytes, append_ms: int) -> None:
        try:
            split = splits.decode(value)
        except (ValueError, RecursionError):  # not JSON of a split, not UTF-8, nested without end
            self.counts["unreadable"] += 1
            return
        known = self.rollouts.get(split.service)
        if known is not None:
            if newness(split) >= newness(known.split) and split != known.split:
                if split.decision_id != known.split.decision_id:
                    known.wanting_s, known.said = None, set()
                known.split, known.append_ms, known.due_s = split, append_ms, known.not_before_s
        elif len(self.rollouts) >= self.rules.max_services:
            self.counts["over_limit"] += 1
        else:
            self.rollouts[split.service] = Rollout(split, append_ms, self.freezes.of(split.service))

    def _forget(self, key: bytes | None) -> None:
        self.rollouts.pop((key or b"").decode(errors="replace"), None)

    # ---- the gateway

    def due(self, now: float, limit: int) -> list[str]:
        """At most ``limit`` services to look at, the longest waiting first; none until all freezes are known."""
        if not self.freezes.known:
            return []
        waiting = []
        for service, rollout in self.rollouts.items():
            freeze = self.freezes.of(service)
            if freeze != rollout.freeze:
                self._switch(rollout, freeze)
            if rollout.due_s <= now:
                waiting.append((rollout.due_s, service))
        return [service for _, service in sorted(waiting)[:limit]]

    def decide(self, service: str, applied: Applied | None, now: float) -> Action:
        """The next step, given what the gateway holds right now."""
        rollout = self.rollouts.get(service)
        if rollout is None:
            return Nothing("held")
        on_drift: OnDrift = "reapply" if rollout.taken_back else self.rules.on_drift
        desired = Desired(rollout.split, rollout.append_ms, rollout.put, rollout.not_before_s, on_drift)
        action = next_action(desired, applied, _freeze(rollout), now)
        if isinstance(action, Apply | Revert):
            self._report_drift(rollout, applied, action.drift, "reapply")
            self._want(rollout, now, "the gateway did not keep the split")
        elif isinstance(action, Nothing):
            rollout.due_s = now + self.rules.recheck_s
            self._rest(rollout, action, applied, now)
        else:
            rollout.due_s = action.until_s
        return action

    def took(self, service: str, split: Split, ack: Ack, now: float) -> None:
        """The gateway answered: it has ``split`` now, or a newer one (then it is read again)."""
        self.counts["ignored" if ack.status == "ignored" else "reverted" if split.frozen else "applied"] += 1
        rollout = self.rollouts.get(service)
        if rollout is None:
            return
        if ack.status == "ignored":
            self._back_off(rollout, now, 0.0)
            return
        rollout.put, rollout.attempts, rollout.not_before_s, rollout.taken_back = split, 0, 0.0, False
        if not ack.taken:
            self._offered(rollout, now)
            return
        self._say(rollout, ACCEPTED, split)
        superseded = newness(rollout.split) > newness(split) and not rollout.freeze.active
        rollout.due_s = now if superseded else now + self.rules.recheck_s

    def failed(self, service: str, error: GatewayError, now: float, split: Split | None = None) -> None:
        """A call failed, with ``split`` if it was to put one: back off, and say so once the deadline has passed.

        A refusal is said at once and tried again as rarely as the back-off allows; a newer split does not wait for it.
        """
        self.counts[_counter(error)] += 1
        rollout = self.rollouts.get(service)
        if rollout is None:
            return
        split = split or rollout.split
        if isinstance(error, Refused):
            self._say(rollout, FAILED, split, f"refused: {error}")
            if newness(split) >= newness(rollout.split) or rollout.freeze.active:
                rollout.due_s = now + max(self.rules.recheck_s, self.rules.backoff_limit_s)
            return
        if _what(ACCEPTED, rollout.split) not in rollout.said:
            self._want(rollout, now, "the gateway did not answer, or not usably,")
        self._back_off(rollout, now, error.retry_after_s if isinstance(error, Unavailable) else 0.0)

    def unsupported(self, service: str, split: Split, plan: Plan, now: float) -> bool:
        """Does ``plan`` need what the gateway cannot do? Stickiness is done without: it only costs precision."""
        missing = [capability for capability in plan.unsupported if capability != "sticky"]
        if missing:
            self.failed(service, Refused(f"this gateway cannot do: {', '.join(missing)}"), now, split)
        return bool(missing)

    # ---- what is written

    def cut(self) -> Cut:
        """The records not yet written."""
        records = tuple(self._pending)
        return Cut((records,) if records else (), self.point, self.position)

    def acked(self, cut: Cut) -> None:
        """Forget the records of ``cut``, the oldest ones: they are durable."""
        del self._pending[: sum(map(len, cut.phases))]

    def committed(self, point: Point) -> None:
        """Nothing to remember: every start reads the whole compacted log."""

    # ---- bookkeeping

    @staticmethod
    def _switch(rollout: Rollout, freeze: Freeze) -> None:
        rollout.freeze, rollout.due_s = freeze, rollout.not_before_s
        if rollout.left is not None and not freeze.active:
            rollout.left, rollout.taken_back = None, True

    def _rest(self, rollout: Rollout, action: Nothing, applied: Applied | None, now: float) -> None:
        if applied is None:
            return
        rollout.attempts = 0
        if action.why == "settled" and not applied.taken:
            rollout.put = applied.split
            self._offered(rollout, now)
        elif action.why == "settled":
            rollout.put, rollout.wanting_s = applied.split, None
            self._say(rollout, ACCEPTED, applied.split)
        elif action.why == "held":
            rollout.put = rollout.put or applied.split
        elif action.why == "ahead":
            version = applied.split.version
            self._want(rollout, now, f"the gateway has version {version}, newer than the log: delete it there;")
        else:
            rollout.left = rollout.freeze
            self._report_drift(rollout, applied, action.drift, "freeze")
            self._say(
                rollout, FAILED, rollout.split, "changed by hand at the gateway: the service is frozen until resume"
            )

    def _offered(self, rollout: Rollout, now: float) -> None:
        """The split waits to be fetched: look again soon, and say so when nobody does."""
        self._want(rollout, now, "what serves the traffic did not take up the split")
        rollout.due_s = now + min(self.rules.recheck_s, self.rules.offered_s)

    def _want(self, rollout: Rollout, now: float, why: str) -> None:
        if rollout.wanting_s is None:
            rollout.wanting_s = now
        if now - rollout.wanting_s >= self.rules.deadline_s:
            self._say(rollout, FAILED, rollout.split, f"{why} within {self.rules.deadline_s:g} s")

    def _back_off(self, rollout: Rollout, now: float, retry_after_s: float) -> None:
        rules = self.rules
        pause_s = min(rules.backoff_limit_s, max(retry_after_s, rules.backoff_s * 2.0 ** min(rollout.attempts, 30)))
        rollout.attempts += 1
        rollout.due_s = rollout.not_before_s = now + pause_s

    def _report_drift(self, rollout: Rollout, applied: Applied | None, drift: tuple[str, ...], action: OnDrift) -> None:
        if not drift or applied is None or rollout.drift == applied.etag:
            return
        self.counts["drifted"] += 1
        if self._write(drift_record(rollout.split, self.rules.gateway, applied.etag, drift, action)):
            rollout.drift = applied.etag

    def _say(self, rollout: Rollout, type_: str, split: Split, error: str | None = None) -> None:
        """One outcome once per decision, however often it is found true and however its weights move afterwards."""
        what = _what(type_, split)
        if what in rollout.said:
            return
        if self._write(outcome_record(type_, split, self.rules.gateway, error, self.rules.capabilities)):
            rollout.said.add(what)

    def _write(self, record: Record) -> bool:
        if len(self._pending) >= MAX_PENDING:
            self.counts["left_out"] += 1
            return False
        self._pending.append(record)
        return True


def _freeze(rollout: Rollout) -> Freeze:
    """A service whose change by hand was left is frozen as it stands, until the switch is touched."""
    if rollout.left is not None and rollout.left == rollout.freeze:
        return Freeze(active=True, hold=True, since_ms=rollout.freeze.since_ms)
    return rollout.freeze


def _what(type_: str, split: Split) -> tuple[str, str, bool]:
    """What an outcome speaks of. Minute weights come in new versions of the same decision: they are not told again."""
    return (type_, split.decision_id or f"version {split.version}", split.frozen)


def _counter(error: GatewayError) -> str:
    if isinstance(error, Refused):
        return "refused"
    return "conflicts" if isinstance(error, Conflict) else "unavailable"
