"""What the optimizer says about a change: the data of decision and outcome events (DESIGN 5).

The event's type says whether a decision was proposed, decided or refused; the data is the same. Encoding is
deterministic, so the same decision has the same bytes.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from app.core.ids import stable_id
from app.core.outputs import DECIDED, PROPOSED, REFUSED
from app.core.split import Split

Status = Literal["proposed", "decided", "refused"]
Action = Literal[
    "open-trial",
    "next-step",
    "drop-arm",
    "hold",
    "admit",
    "promote",
    "roll-back",
    "fail-over",
    "freeze",
    "unfreeze",
    "move-weights",
    "reset",
    "re-baseline",
    "configure",
    "set-mode",
    "pause",
    "resume",
]
Trigger = Literal["time", "threshold", "event", "on-demand"]
Strategy = Literal[
    "prompt-testing", "reinforcement", "cost-performance", "adaptive-tuning", "threshold", "hybrid", "operator"
]
"""The five strategies of requirements/004, hybrid, and what a person ordered."""
DeploymentStrategy = Literal["canary", "blue-green", "immediate", "shadow", "weights", "none"]
ChangeType = Literal["replace", "add", "remove"]
Severity = Literal["deny", "warn"]
Metric = Literal["quality", "latency", "errors", "cost", "reward"]

EVENT_TYPES: dict[Status, str] = {"proposed": PROPOSED, "decided": DECIDED, "refused": REFUSED}


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One changed parameter (ConfigurationChange of requirements/004).

    ``old`` is None when it was added, ``new`` when it was removed.
    """

    parameter: str
    old: Any = None
    new: Any = None
    change_type: ChangeType = "replace"


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """How the change reaches traffic: ``step`` percent now, of the ``progression``."""

    strategy: DeploymentStrategy = "none"
    step: float = 0.0
    progression: tuple[float, ...] = ()


class Impact(msgspec.Struct, frozen=True, kw_only=True):
    """Challenger minus incumbent, from ``n`` requests: estimate and always-valid interval [low, high].

    quality and errors: absolute points on 0-1; latency and cost: ratio (-0.61 = 61 % less); reward: absolute.
    A bound that is not known is None.
    """

    estimate: float
    low: float | None = None
    high: float | None = None
    n: int = 0


class Constraint(msgspec.Struct, frozen=True, kw_only=True):
    """A limit the decision was held against; ``value`` None when it could not be measured (a change for good is then
    not satisfied). ``detail``: what is wrong, in words. ``severity`` ``warn``: told, but stops nothing.

    A rule that no number states (approved models, residency, a policy) has the limit 0 and as its value how often it
    is broken.
    """

    name: str
    limit: float
    value: float | None
    satisfied: bool
    detail: str = ""
    severity: Severity = "deny"


class Alternative(msgspec.Struct, frozen=True):
    """An arm that was not chosen, and the reason in words."""

    arm: str
    why_not: str


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """One change or its refusal, with reasons; ``version`` is that of ``split``, the full desired state after it."""

    decision_id: str
    service: str
    action: Action
    version: int
    cycle: int
    trigger: Trigger
    strategy: Strategy
    mode: Literal["observe", "recommend", "approve", "auto"]
    segment: str = "*"
    changes: tuple[Change, ...] = ()
    deployment: Deployment = Deployment()
    expected_impact: dict[str, Impact] = {}
    expected_minutes: float | None = None
    confidence: Annotated[float, Meta(ge=0, le=1)] = 0.0
    constraints: tuple[Constraint, ...] = ()
    rationale: str = ""
    evidence: dict[str, Any] = {}
    alternatives: tuple[Alternative, ...] = ()
    engine_version: str = ""
    valid_for_s: int = 0
    split: Split | None = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a decision at the gateway. Shares in [0, 1] of the service's requests; ``first_seen`` RFC 3339.

    The end of a trial (completed, rolled-back) says what was expected when it was opened and what it measured.
    ``capabilities``: what the gateway says it can do, in an accepted outcome; empty: not said.
    """

    decision_id: str
    service: str
    version: int
    gateway: str
    observed_share: float | None = None
    expected_share: float | None = None
    requests: int = 0
    first_seen: str = ""
    error: str | None = None
    expected_impact: dict[str, Impact] = {}
    realised_impact: dict[str, Impact] = {}
    capabilities: tuple[str, ...] = ()


def decision_id(service: str, cycle: int, action: Action, *parts: object) -> str:
    """The id of a decision: a function of where in the log it was made, never of a clock or chance."""
    return stable_id("decision", service, cycle, action, *parts)


_encode = msgspec.json.Encoder(order="deterministic").encode
decode_decision = msgspec.json.Decoder(Decision).decode
decode_outcome = msgspec.json.Decoder(Outcome).decode


def encode_decision(decision: Decision) -> bytes:
    """Data of the decision event: JSON, keys sorted."""
    return _encode(decision)


def encode_outcome(outcome: Outcome) -> bytes:
    """Data of the outcome event: JSON, keys sorted."""
    return _encode(outcome)
