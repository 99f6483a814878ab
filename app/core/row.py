"""The row: everything the brain remembers of one service. A frozen struct; fields are appended only at the end.

Sizes: at most 16 arms x 9 segments of sums, one trial, the last 32 versions.
"""

from typing import Literal

import msgspec

from app.core.budget import Budgeting
from app.core.by_segment import BySegment
from app.core.decision import Alternative, Impact, Strategy
from app.core.document import ServiceDocument, default_document
from app.core.evidence import Chosen
from app.core.forecast import Spread
from app.core.levers.made_arm import Made
from app.core.off_policy import OffPolicy
from app.core.patrol import Patrol
from app.core.profile import Profile
from app.core.propensity import Shares
from app.core.quality_kept import QualityKept
from app.core.queue import Experiment, Queue
from app.core.savings import Savings
from app.core.split import Split
from app.core.stats.reward import Objective
from app.core.trial import Trial
from app.core.verify import Watch
from app.core.weights import Mix

BROADCAST = "*"
"""The row that keeps the standing orders of broadcasts for services that do not exist yet."""
HISTORY = 32


Answerer = Literal["person", "policy"]


class Tick(msgspec.Struct, frozen=True):
    """Only time passed: a deadline of the row is reached (rule O8)."""


class Proposal(msgspec.Struct, frozen=True, array_like=True):
    """A trial of ``arm`` waiting until ``deadline_s`` for a person (mode approve), a policy service, or both.

    ``waits`` names who has not answered; ``person_deadline_s`` follows once the policy service has. ``strategy``,
    ``idea`` and ``experiment``: where it comes from. ``rivals``: arms to be tried together with it.
    """

    decision_id: str
    arm: str
    deadline_s: int
    expected: dict[str, Impact] = {}
    alternatives: tuple[Alternative, ...] = ()
    waits: tuple[Answerer, ...] = ("person",)
    person_deadline_s: int = 0
    strategy: Strategy = "cost-performance"
    idea: str = ""
    experiment: str = ""
    rivals: tuple[str, ...] = ()


class Rest(msgspec.Struct, frozen=True, array_like=True):
    """An arm that lost a trial: not tried again before ``until_s``; ``times`` in a row. ``by_rule``: it did not lose, a
    limit or policy forbids it.
    """

    until_s: int
    times: int
    why: str
    by_rule: bool = False


class Past(msgspec.Struct, frozen=True, array_like=True):
    """A version: what served then, and with which probabilities."""

    version: int
    decision_id: str
    incumbent: str
    shares: Shares


class Row(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """State of one service as a function of the facts log.

    ``declared``: a person gave a document (else it grew from telemetry, mode observe). ``frozen``: kill switch;
    ``paused``: keep learning, change nothing. ``split`` None: nothing was ever published for this service.
    ``trial_decision``: the decision that opened the trial. ``next_cycle_s``: when the main loop looks again.
    ``made``: arms of the document that levers made; ``tried``: keys of those that are gone. ``last_action``: of the
    decision that published the split in force. ``queue``: what waits for its turn, ``refused`` what found no place;
    ``trial_expected``: what the decision that opened the trial expected; ``trial_segments``: scores of
    the open trial by segment; ``trial_experiment``: the one of ``experiments`` the open trial belongs to.
    ``contest``: the other challengers, where several are on trial together (``app.core.contest``).
    ``patrol``: whether the traffic still follows a split that was seen.
    ``capabilities``: what the gateway last said it can do (``ports.Capability``); empty: it never said.
    """

    service: str
    document: ServiceDocument
    declared: bool = False
    frozen: bool = False
    paused: bool = False
    incumbent: str = ""
    admitted: tuple[str, ...] = ()
    version: int = 0
    cycle: int = 0
    split: Split | None = None
    trial: Trial | None = None
    trial_decision: str = ""
    proposal: Proposal | None = None
    watch: Watch | None = None
    profiles: dict[str, Profile] = {}
    weights: dict[str, dict[str, float]] = {}
    mix: Mix = Mix()
    decided_weights: dict[str, dict[str, float]] = {}
    spread: Spread = Spread()
    resting: dict[str, Rest] = {}
    savings: Savings = Savings()
    next_cycle_s: int = 0
    cooldown_s: int = 0
    requests_per_minute: float = 0.0
    history: tuple[Past, ...] = ()
    evidence: Chosen = Chosen()
    made: tuple[Made, ...] = ()
    tried: tuple[str, ...] = ()
    last_action: str = ""
    quality_kept: QualityKept = QualityKept()
    budgeting: Budgeting = Budgeting()
    queue: Queue = ()
    experiments: tuple[Experiment, ...] = ()
    trial_experiment: str = ""
    refused: int = 0
    trial_segments: BySegment = {}
    trial_expected: dict[str, Impact] = {}
    off_policy: OffPolicy = OffPolicy()
    capabilities: tuple[str, ...] = ()
    contest: tuple[Trial, ...] = ()
    patrol: Patrol | None = None

    @property
    def challengers(self) -> tuple[Trial, ...]:
        """Every challenger on trial, the first one first; usually one or none."""
        return (self.trial, *self.contest) if self.trial is not None else ()

    @property
    def unseen(self) -> bool:
        """Whether the traffic was not seen to follow the split, or no longer does: nothing climbs from there."""
        return self.watch is not None or (self.patrol is not None and self.patrol.off_since_s > 0)

    @property
    def may_change(self) -> bool:
        """Whether the optimizer may propose or make changes at all."""
        return self.declared and self.document.mode != "observe" and not (self.frozen or self.paused)

    @property
    def may_publish(self) -> bool:
        """Whether this service's split is the optimizer's to publish."""
        return self.declared and self.document.mode in ("approve", "auto")

    @property
    def serving(self) -> frozenset[str]:
        """Arms that get main traffic."""
        return (
            frozenset((self.incumbent, *self.admitted))
            if self.document.policy == "mix"
            else frozenset((self.incumbent,))
        )

    @property
    def objective(self) -> Objective:
        """The document's objective as the statistics want it."""
        objective, weights = self.document.objective, self.document.objective.effective
        return Objective(
            quality=weights.quality,
            cost=weights.cost,
            latency=weights.latency,
            cost_max_usd=objective.cost_max_usd,
            latency_max_ms=objective.latency_max_ms,
            channel=objective.score_channel,
        )

    @property
    def _trial_end_s(self) -> int:
        """When an undecided trial is over, with or without traffic."""
        started = self.trial.started_minute if self.trial is not None else 0
        return 60 * (started + self.document.trial.trial_minutes_max + 1)

    @property
    def deadline_s(self) -> int | None:
        """When the row must be stepped even without traffic (rule O8)."""
        deadlines = [
            self.proposal.deadline_s if self.proposal else None,
            (self.watch.deadline_s or None) if self.watch else None,
            self.cooldown_s or None,
            self._trial_end_s if self.trial is not None and self.may_change else None,
        ]
        return min((d for d in deadlines if d is not None), default=None)


def new_row(service: str, standing: Row | None) -> Row:
    """A service seen for the first time; ``standing`` orders (a broadcast freeze or pause) hold for it too."""
    document = default_document("all" if service == BROADCAST else service, ())
    row = Row(service=service, document=document)
    return row if standing is None else msgspec.structs.replace(row, frozen=standing.frozen, paused=standing.paused)
