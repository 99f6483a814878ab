"""What the read model answers: frozen structs, as they go out over REST. Times RFC 3339, money USD, latency ms."""

from typing import Any

import msgspec


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all answers."""


class DecisionEvent(Answer, frozen=True, kw_only=True):
    """A decision or what became of it. ``data`` is the event's whole data (see the reference of events)."""

    id: str
    type: str
    status: str
    time: str
    service: str
    decision_id: str
    action: str
    strategy: str
    mode: str
    version: int
    rationale: str
    data: dict[str, Any]


class FindingEvent(Answer, frozen=True, kw_only=True):
    """A finding as it was told; every rise of its severity and its end are told once."""

    id: str
    type: str
    finding_id: str
    time: str
    service: str
    arm: str
    segment: str
    analyzer: str
    kind: str
    metric: str
    severity: str
    status: str
    detail: str
    data: dict[str, Any]


class CommandEvent(Answer, frozen=True, kw_only=True):
    """An order in the log. ``actor``: who, as the way in knew them; ``source``: the way in."""

    id: str
    time: str
    service: str
    command: str
    actor: str
    reason: str
    source: str
    args: dict[str, Any]


class Trial(Answer, frozen=True, kw_only=True):
    """One change on trial. Shares in [0, 1] of the traffic outside the holdout; ``status`` running or completed."""

    id: str
    service: str
    name: str
    status: str
    arm: str
    control_arm: str
    share: float
    control_share: float
    start_time: str
    end_time: str | None = None
    ended_with: str | None = None
    winner: str | None = None
    conclusion: str | None = None
    results: dict[str, Any] | None = None
    constraints: list[dict[str, Any]] = []


class ServiceState(Answer, frozen=True, kw_only=True):
    """Where a service stands. ``weights`` by segment; ``counted_until``: end of its newest closed minute; ``arms``: all
    of the split, in its order.
    """

    service: str
    mode: str
    configured: bool
    version: int
    incumbent: str
    weights: dict[str, dict[str, float]]
    trial: dict[str, Any] | None
    frozen: bool
    counted_until: str | None
    arms: list[str] = []


class WindowSums(Answer, frozen=True, kw_only=True):
    """Traffic of one (arm, segment, slice) of a service in [``start``, ``end``).

    Quantiles come from merged histograms (relative error below 1 %), None for rows of a slice. ``quality``: scores by
    channel. ``complete`` false: some source was missing, so counts are a lower bound. ``windows``: how many
    were merged.
    """

    service: str
    arm: str
    segment: str
    slice: str
    start: str
    end: str
    windows: int
    count: int
    errors: int
    late: int
    latency_ms_mean: float
    latency_ms_p50: float | None
    latency_ms_p95: float | None
    latency_ms_p99: float | None
    latency_ms_max: float
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_usd: float
    costed: int
    own_cost_usd: float
    quality: dict[str, Any]
    complete: bool


class SavingsClaim(Answer, frozen=True, kw_only=True):
    """What a service is proven to have saved, as told once an hour; ``data`` holds estimate and interval."""

    id: str
    service: str
    time: str
    data: dict[str, Any]
