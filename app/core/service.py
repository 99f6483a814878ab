"""The heart: the step of one service. Pure; data goes one way: evidence in, row and outputs out.

A closed pane is learned from, then the split in force is verified by its traffic, then the rules decide. A control fact
is obeyed. A tick lets deadlines pass. ``now_s`` is always event time: the end of the newest closed pane.
"""

import msgspec

from app.core import answers, capping, experiments, mixing, orders, outputs, patrol, ruling, search, turns, verify
from app.core.decision import Outcome, encode_outcome
from app.core.events import NAME_PATTERN, rfc3339
from app.core.facts import ControlFact
from app.core.ids import stable_id
from app.core.learn import learned
from app.core.outputs import Output
from app.core.pane import ClosedPane
from app.core.quality_kept import kept
from app.core.row import BROADCAST, Row, Tick, new_row
from app.core.savings import estimate
from app.core.split import Split

__all__ = ["BROADCAST", "Evidence", "Row", "Tick", "new_row", "step", "unnamed"]

HOUR_S = 3600
Evidence = ClosedPane | ControlFact | Tick
Result = tuple[Row, list[Output]]


def unnamed(fact: ControlFact) -> Output:
    """The refusal of an order for something that cannot be a service."""
    return orders.refusal(fact, f"not a service name: {fact.service[:40]!r} (pattern {NAME_PATTERN})")


def failed_step(row: Row, evidence: Evidence, now_s: int, error: Exception) -> Output:
    """A critical finding: a step of this service failed and was left out."""
    what = evidence.id if isinstance(evidence, ControlFact) else type(evidence).__name__
    text = f"{type(error).__name__}: {error}"[:500]
    identity = stable_id("failed-step", row.service, what, now_s)
    data = {
        "service": row.service,
        "analyzer": "engine",
        "severity": "critical",
        "detail": f"a step of {row.service} failed and was left out; the service keeps its split: {text}",
    }
    time_s = now_s or (evidence.time_s if isinstance(evidence, ControlFact) else 0)
    return Output("anomalies", outputs.FINDING, identity, row.service, time_s, _json(data))


def without_deadlines(row: Row) -> Row:
    """``row`` paused and with nothing that is due: what a failed tick leaves."""
    watch = msgspec.structs.replace(row.watch, deadline_s=0) if row.watch else None
    return msgspec.structs.replace(row, cooldown_s=0, proposal=None, watch=watch, paused=True)


def step(row: Row, evidence: Evidence, now_s: int) -> Result:
    """One pane, one control fact or one deadline."""
    after, said = _step(row, evidence, now_s)
    after, told = experiments.settled(row, after, now_s)
    return after, [*said, *told] if told else said


def _step(row: Row, evidence: Evidence, now_s: int) -> Result:
    if isinstance(evidence, ControlFact):
        return orders.obey(row, evidence, now_s)
    if isinstance(evidence, ClosedPane):
        row = learned(row, evidence)
    row, seen = _verify(row, now_s)
    row, expired = _expire(row, now_s)
    row, decided = _decide(row, now_s, fresh=isinstance(evidence, ClosedPane))
    row, accounted = _account(row, now_s)
    return row, [*seen, *expired, *decided, *accounted]


# ---- did the traffic follow? ----
def _verify(row: Row, now_s: int) -> Result:
    watch, split = row.watch, row.split
    if split is None:
        return row, []
    if watch is None:
        return _look_after(row, split, now_s)
    seen = verify.seen(watch, split, row.document)
    if seen is not None and seen.followed:
        back = [patrol.ended(row.patrol, row.service, now_s)] if row.patrol and row.patrol.off_since_s else []
        row = msgspec.structs.replace(row, watch=None, patrol=patrol.begun(watch))
        return row, [_outcome(row, watch, seen, now_s), *back]
    if not watch.deadline_s or now_s < watch.deadline_s:
        return row, []
    if watch.reported or (seen is None and verify.carried(watch)):  # known, or little traffic that follows: go on
        return msgspec.structs.replace(row, watch=msgspec.structs.replace(watch, deadline_s=0)), []
    again = msgspec.structs.replace(watch, deadline_s=0, counts={}, others=0, reported=True)
    return msgspec.structs.replace(row, watch=again), [_outcome(row, watch, seen, now_s)]


def _look_after(row: Row, split: Split, now_s: int) -> Result:
    if row.patrol is None:
        return row, []
    after, said = patrol.told(row.patrol, split, row.document, now_s)
    return (row if after is row.patrol else msgspec.structs.replace(row, patrol=after)), said


def _outcome(row: Row, watch: verify.Watch, seen: verify.Seen | None, now_s: int) -> Output:
    """What the traffic says about the watched version."""
    outcome = Outcome(
        decision_id=watch.decision_id,
        service=row.service,
        version=watch.version,
        gateway=watch.accepted_by or row.document.gateway,
        observed_share=seen.observed_share if seen else None,
        expected_share=seen.expected_share if seen else None,
        requests=watch.requests,
        first_seen=rfc3339(watch.first_seen_s) if watch.first_seen_s else "",
        error=None if seen and seen.followed else _unfollowed(watch, seen),
    )
    type_ = outputs.VERIFIED if outcome.error is None else outputs.FAILED
    identity = stable_id(type_, watch.decision_id, watch.version)
    return Output("optimizations", type_, identity, row.service, now_s, encode_outcome(outcome))


def _unfollowed(watch: verify.Watch, seen: verify.Seen | None) -> str:
    if seen is not None:
        return f"the traffic does not follow the split: {seen.detail}, asked for {seen.expected_share:.1%}"
    reported = f"; the gateway said: {watch.error}" if watch.error else ""
    total = watch.requests + watch.others
    return f"only {watch.requests} of {total} requests carried version {watch.version} before the deadline{reported}"


# ---- deadlines ----
def _expire(row: Row, now_s: int) -> Result:
    said: list[Output] = []
    if row.cooldown_s and now_s >= row.cooldown_s:
        row = msgspec.structs.replace(row, cooldown_s=0)
    if row.proposal is not None and now_s >= row.proposal.deadline_s:
        row, said = answers.expire_proposal(row, now_s)
    return row, said


# ---- decide ----
def _decide(row: Row, now_s: int, *, fresh: bool) -> Result:
    """The open trial first, then the queue, then the best expected gain, then (``fresh`` evidence) the weights
    or, where one arm serves, what the budget says.
    """
    if not row.may_change:
        return row, []
    said: list[Output] = []
    if row.trial is not None:
        row, said = ruling.judge(row, now_s)
    elif not row.cooldown_s and row.requests_per_minute > 0:
        if row.queue and row.proposal is None:
            row, said = turns.take(row, now_s)
        elif now_s >= row.next_cycle_s:
            row, said = search.look(row, now_s, "time")
    if said or not fresh:
        return row, said
    return mixing.reweigh(row, now_s) if row.document.policy == "mix" else capping.kept(row, now_s)


# ---- account ----
def _account(row: Row, now_s: int) -> Result:
    """Once an hour: what was saved so far, with its interval and what a proof still lacks."""
    savings, hour_s = row.savings, now_s - now_s % HOUR_S
    if savings.n == 0 or hour_s <= max(savings.said_s, savings.since_s):
        return row, []
    document = row.document
    found = estimate(savings, baseline=document.baseline, holdout=document.holdout_share, sticky=document.sticky)
    quality = kept(
        row.quality_kept,
        baseline=document.baseline,
        holdout=savings.holdout or document.holdout_share,
        sessions=document.sticky and savings.in_session > 0,
    )
    data = {
        "service": row.service,
        "baseline": document.baseline,
        "since": rfc3339(savings.since_s),
        "until": rfc3339(now_s),
        "uncosted": savings.uncosted,
        "incomplete": savings.incomplete,
        **msgspec.structs.asdict(found),
        "saved_usd": found.saving * (found.requests - found.holdout_requests),
        "quality": msgspec.structs.asdict(quality),
    }
    said = Output(
        "aggregates_hourly",
        outputs.SAVINGS,
        stable_id(outputs.SAVINGS, row.service, hour_s),
        row.service,
        now_s,
        _json(data),
    )
    return msgspec.structs.replace(row, savings=msgspec.structs.replace(savings, said_s=hour_s)), [said]


_json = msgspec.json.Encoder(order="deterministic").encode
