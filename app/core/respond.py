"""Rules for safety: what findings of our own and alerts from outside make a service do, whatever its strategy.

Severity to action is ``app.core.levers.threshold``; here it meets the row. A rule acts at once, inside or outside the
cooldown; a better arm that cannot be tried now because a trial is open waits in the queue.
"""

import msgspec

from app.core import backup, change, rollout, search, turns
from app.core.analyze.finding import EVERY, Heard
from app.core.change import Why
from app.core.decision import Trigger, decision_id
from app.core.levers.lever import Need
from app.core.levers.threshold import need_in, need_of, response
from app.core.outputs import Output
from app.core.queue import Queued
from app.core.row import Row

Result = tuple[Row, list[Output]]


class Alert(msgspec.Struct, frozen=True):
    """What the rules read of an alert from outside; every other field is ignored (requirements/001 and 004)."""

    severity: str = ""
    alert_type: str = ""
    anomaly_type: str = ""
    category: str = ""
    metric: str = ""
    metrics: dict[str, msgspec.Raw] = {}
    anomaly_details: dict[str, msgspec.Raw] = {}

    @property
    def need(self) -> Need:
        """What would mend it, by the words it uses; "" when no arm can."""
        detail = self.anomaly_details.get("metric", msgspec.Raw(b'""'))
        words = (self.alert_type, self.anomaly_type, self.metric, *self.metrics, bytes(detail).decode(), self.category)
        return next((need for word in words if (need := need_in(word))), "")

    def names(self, model: str) -> bool:
        """Whether it is about ``model``, or names none."""
        affected = self.anomaly_details.get("affected_model")
        return affected is None or msgspec.json.decode(affected) == model


decode_alert = msgspec.json.Decoder(Alert).decode


def to_finding(row: Row, heard: Heard, now_s: int) -> Result:
    """An open finding about the arm on trial, the incumbent, or all."""
    if heard.status != "open":
        return row, []
    on_trial = [one.arm for one in row.challengers]
    trial = heard.arm in on_trial or (heard.arm == EVERY and row.trial is not None and not row.trial.mirrored)
    incumbent = heard.arm in (EVERY, row.incumbent)
    other = backup.backup_of(row, now_s) if row.document.mode == "auto" and row.may_change else ""
    cause = f"{heard.severity} finding {heard.finding_id}: {heard.detail}"
    match response(heard.severity, trial=trial, incumbent=incumbent, backup=bool(other)):
        case "roll-back" if row.contest and heard.arm in on_trial:
            return _dropped(row, now_s, heard.arm, cause)
        case "roll-back":
            return rollout.roll_back(row, now_s, "threshold", cause)
        case "route-to-backup":
            return backup.fail_over(row, now_s, other, "threshold", cause)
        case "optimize" if heard.analyzer == "drift":
            return _recalibrated(row, now_s, cause)
        case "optimize":
            return _optimized(row, now_s, need_of(heard.metric), "threshold", cause)
        case "adjust" if need_of(heard.metric) in ("quality", "cost", "latency"):
            return turns.waiting(row, Queued(need="tuning", trigger="threshold", cause=cause, since_s=now_s)), []
        case _:
            return row, []


def to_alert(row: Row, alert: Alert, now_s: int, cause: str) -> Result:
    """An alert from outside: critical ends a trial; high or critical looks for what mends it."""
    if alert.severity in ("critical", "blocking") and row.trial is not None:
        return rollout.roll_back(row, now_s, "event", cause)
    incumbent = row.document.arm(row.incumbent)
    if alert.severity not in ("critical", "high") or incumbent is None or not alert.names(incumbent.model):
        return row, []
    return _optimized(row, now_s, alert.need, "event", cause)


def _optimized(row: Row, now_s: int, need: Need, trigger: Trigger, cause: str) -> Result:
    """A better arm in what is wrong, now; after the open trial when there is one."""
    if not need or not row.may_change:
        return row, []
    if row.trial is not None or row.proposal is not None:
        return turns.waiting(row, Queued(need=need, trigger=trigger, cause=cause, since_s=now_s)), []
    return search.look(row, now_s, trigger, need, cause)


def _dropped(row: Row, now_s: int, arm: str, cause: str) -> Result:
    """One of several challengers fails critically: it leaves, the others stay."""
    left = tuple(one.arm for one in row.challengers if one.arm != arm)
    evidence = {"challenger": arm, "incumbent": row.incumbent, "cause": cause, "dropped": {arm: cause}, "left": left}
    why = Why(action="drop-arm", trigger="threshold", strategy="threshold", evidence=evidence, confidence=1.0)
    return rollout.drop(row, now_s, why, {arm: cause})


def _recalibrated(row: Row, now_s: int, cause: str) -> Result:
    """Another model answers under the old name: what was known of the arm is forgotten and gathered again."""
    if not row.may_change:
        return row, []
    arm, kept = row.incumbent, {name: p for name, p in row.profiles.items() if name != row.incumbent}
    identity = decision_id(row.service, row.cycle + 1, "reset", now_s, arm)
    row = msgspec.structs.replace(row, profiles=kept, cycle=row.cycle + 1)
    evidence = {"challenger": arm, "incumbent": arm, "cause": cause}
    why = Why(action="reset", trigger="threshold", strategy="threshold", evidence=evidence, confidence=1.0)
    return row, [change.say(row, "decided", identity, now_s, why)]
