"""Which model a request should go to now: a draw from the newest split of its service, all in memory.

It is the draw every gateway makes (``app.core.assign``), so an application that asks here and a gateway that draws
itself agree. Limits and wishes of the caller do not change the draw: they are held against the arm and answered.
"""

import secrets
from typing import Any

import msgspec

from app.adapters.readmodel import changes
from app.adapters.readmodel.model import Model
from app.api.problems import Problem, not_found
from app.core.assign import assign, expected_shares, identity_of, segment_for
from app.core.events import Receipt, SegmentParts
from app.core.ids import request_id
from app.core.split import ArmDefinition, Split

ESTIMATE_S = 900


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """What an arm did in the newest closed 15 minutes; None where nothing is known."""

    requests: int = 0
    cost_per_request_usd: float | None = None
    latency_p95_ms: float | None = None
    quality_score: float | None = None


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """A wish of the caller beside what is known; ``satisfied`` None: not known."""

    name: str
    limit: float
    value: float | None
    satisfied: bool | None


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """Another arm. ``score``: the share of this segment's requests it gets now."""

    model_id: str
    arm: str
    score: float
    rationale: str
    estimated_metrics: Estimate


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Where the request goes. ``receipt``: the request id to use from here on; it comes back with feedback."""

    recommended_model: str
    provider: str
    arm: str
    slice: str
    version: int
    segment: str
    service: str
    request_id: str
    receipt: str
    parameters: dict[str, Any]
    prompt_version: str
    selection_rationale: str
    alternatives: list[Option]
    estimated_metrics: Estimate
    constraints: list[Limit] = []
    not_considered: list[str] = []


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a draw needs to know of a request."""

    service: str = ""
    request_id: str = ""
    session_id: str = ""
    segment: SegmentParts = SegmentParts()
    max_cost_usd: float | None = None
    max_latency_ms: float | None = None
    not_considered: tuple[str, ...] = ()


Key = tuple[str, str, str, str]
"""Service, segment, slice, arm."""


class Placed(msgspec.Struct, frozen=True, gc=False):
    """A draw: ``fixed`` is what every request in this place is answered, until something about the service changes."""

    key: Key
    fixed: Selection
    request_id: str
    receipt: str


class Selector:
    """A snapshot of every split and of what its arms did. Mutable: replaced service by service by ``refresh``."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._number = -1
        self._splits: dict[str, Split] = {}
        self._estimates: dict[str, dict[str, Estimate]] = {}
        self._fixed: dict[str, dict[Key, Selection]] = {}

    def refresh(self) -> None:
        """Take what is new of splits and estimates. Blocking; it costs what has changed, not what there is."""
        number = changes.newest(self._model.store)
        if number == self._number:
            return
        if 0 <= self._number < number:
            found = changes.after(self._model.store, self._number)
            names = {change.service for change in found if change.what in {"splits", "aggregates"}}
            splits = [split for name in names if (split := self._model.split(name)) is not None]
        else:  # nothing yet, or a store that was begun again
            self._splits, splits = {}, self._model.splits()
        for split in splits:
            self._estimates[split.service] = self._estimated(split.service)
            self._fixed[split.service] = {}
            self._splits[split.service] = split
        self._number = number

    def service_of(self, service: str) -> str:
        """``service``, or the only one there is. ``Problem`` 400 when there is a choice."""
        if service or len(self._splits) == 1:
            return service or next(iter(self._splits))
        raise Problem(400, "bad_request", "service: name one, as there is not just one with a split")

    def draw(self, asked: Asked) -> Selection:
        """Where a request goes. ``Problem`` 404 when the service has no split yet."""
        placed = self.place(asked)
        return msgspec.structs.replace(
            placed.fixed,
            request_id=placed.request_id,
            receipt=placed.receipt,
            constraints=_limits(asked, placed.fixed.estimated_metrics),
            not_considered=list(asked.not_considered),
        )

    def place(self, asked: Asked) -> Placed:
        """Where a request goes, without what is said of its limits. ``Problem`` 404 when there is no split yet."""
        split = self._splits.get(asked.service)
        if split is None:
            raise not_found(f"split of service {asked.service!r} yet: apply a document, or route as you did")
        unique = asked.request_id.partition(".")[0] or secrets.token_hex(16)
        segment = segment_for(split, asked.segment)
        drawn = assign(split, identity_of(unique, asked.session_id or None, sticky=split.sticky), segment)
        key = (split.service, segment, drawn.slice, drawn.arm)
        made = self._fixed[split.service]
        fixed = made.get(key)
        if fixed is None or fixed.version != split.version:
            fixed = made[key] = self._made(split, segment, drawn.slice, drawn.arm)
        receipt = Receipt(split.service, drawn.arm, asked.segment, drawn.slice, split.version, drawn.session_group)
        return Placed(key, fixed, unique, request_id(unique, receipt))

    def _made(self, split: Split, segment: str, slice_: str, name: str) -> Selection:
        arm = next(arm for arm in split.arms if arm.name == name)
        known = self._estimates.get(split.service, {})
        return Selection(
            recommended_model=arm.model,
            provider=arm.provider,
            arm=arm.name,
            slice=slice_,
            version=split.version,
            segment=segment,
            service=split.service,
            request_id="",
            receipt="",
            parameters=arm.parameters,
            prompt_version=arm.prompt_version,
            selection_rationale=_why(split, slice_, arm),
            alternatives=_others(split, segment, arm.name, known),
            estimated_metrics=known.get(arm.name, Estimate()),
        )

    def _estimated(self, service: str) -> dict[str, Estimate]:
        rows = self._model.store.query(
            "SELECT arm, count, costed, cost_usd, latency_ms_p95, quality_json FROM aggregates WHERE service = ?"
            " AND window_s = ? AND slice = '*' AND segment = '*' AND arm <> '*' ORDER BY start_s DESC LIMIT 64",
            (service, ESTIMATE_S),
        )
        found: dict[str, Estimate] = {}
        for row in rows:
            scores = msgspec.json.decode(row["quality_json"])
            judged = scores.get("judge") or next(iter(scores.values()), None)
            new = Estimate(
                requests=row["count"],
                cost_per_request_usd=row["cost_usd"] / row["count"] if row["count"] == row["costed"] > 0 else None,
                latency_p95_ms=row["latency_ms_p95"] if row["count"] else None,
                quality_score=judged["mean"] if judged and judged["n"] else None,
            )
            found.setdefault(row["arm"], new)
        return found


def _why(split: Split, slice_: str, arm: ArmDefinition) -> str:
    trial = split.trial
    share = trial.share / len(trial.challengers) if trial else 0.0
    reasons = {
        "holdout": f"{arm.name} is the baseline of the holdout, which proves what is saved",
        "trial": f"{arm.name} is on trial with {share:.0%} of the traffic" if trial else "",
        "control": f"{arm.name} is the control of the trial of {trial.arm}" if trial else "",
    }
    return reasons.get(slice_) or f"{arm.name} serves by version {split.version} of the split"


def _others(split: Split, segment: str, drawn: str, known: dict[str, Estimate]) -> list[Option]:
    shares: dict[str, float] = {}
    for (_, arm), share in expected_shares(split, segment).items():
        shares[arm] = shares.get(arm, 0.0) + share
    return [
        Option(
            model_id=arm.model,
            arm=arm.name,
            score=round(shares.get(arm.name, 0.0), 9),
            rationale=f"gets {shares.get(arm.name, 0.0):.1%} of the requests now",
            estimated_metrics=known.get(arm.name, Estimate()),
        )
        for arm in split.arms
        if arm.name != drawn
    ]


def _limits(asked: Asked, estimate: Estimate) -> list[Limit]:
    wishes = (
        ("max_cost_per_request", asked.max_cost_usd, estimate.cost_per_request_usd),
        ("max_latency_ms", asked.max_latency_ms, estimate.latency_p95_ms),
    )
    return [
        Limit(name=name, limit=limit, value=value, satisfied=None if value is None else value <= limit)
        for name, limit, value in wishes
        if limit is not None
    ]
