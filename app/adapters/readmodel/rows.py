"""The rows of the read model: one struct a table, its fields the columns in order. Times: epoch s, append times: ms.

``append_ms`` is the broker's time; retention goes by it, as the broker's own does. JSON columns end in ``json``.
"""

from typing import Any, ClassVar

import msgspec


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """``table``: where it goes; ``newest_by``: columns that decide which of several with one ``key`` stays.

    ``in_order``: rows keep the order in which they came (rowid), for those who follow.
    """

    table: ClassVar[str]
    key: ClassVar[tuple[str, ...]] = ("id",)
    newest_by: ClassVar[tuple[str, ...]] = ()
    in_order: ClassVar[bool] = False

    def values(self) -> tuple[Any, ...]:
        """The columns in order."""
        return msgspec.structs.astuple(self)


class Event(Row, frozen=True, kw_only=True):
    """A decision or an outcome. ``trial_id``: of the open trial in its split; ``has_split`` 0 for words alone."""

    table: ClassVar[str] = "events"
    in_order: ClassVar[bool] = True
    id: str
    type: str
    status: str
    service: str
    decision_id: str
    time_s: int
    append_ms: int
    action: str
    strategy: str
    mode: str
    version: int
    trial_id: str
    has_split: bool
    rationale: str
    json: str


class Aggregate(Row, frozen=True, kw_only=True):
    """A closed window of one (arm, segment, slice). ``latency`` quantiles None where it has no histogram."""

    table: ClassVar[str] = "aggregates"
    id: str
    service: str
    arm: str
    segment: str
    slice: str
    window_s: int
    start_s: int
    end_s: int
    append_ms: int
    count: int
    errors: int
    late: int
    late_cost_usd: float
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
    quality_json: str
    sources: int
    complete: bool
    histogram: bytes | None


class Finding(Row, frozen=True, kw_only=True):
    """What an analyzer, or another part of the platform, saw; each rise and the end is a row of its own."""

    table: ClassVar[str] = "findings"
    id: str
    type: str
    finding_id: str
    service: str
    arm: str
    segment: str
    analyzer: str
    kind: str
    metric: str
    severity: str
    status: str
    time_s: int
    append_ms: int
    detail: str
    json: str


class Saving(Row, frozen=True, kw_only=True):
    """What a service is proven to have saved, as told once an hour."""

    table: ClassVar[str] = "savings"
    id: str
    service: str
    time_s: int
    append_ms: int
    json: str


class CommandRow(Row, frozen=True, kw_only=True):
    """An order as it lies in the log: what, by whom, why."""

    table: ClassVar[str] = "commands"
    id: str
    service: str
    command: str
    actor: str
    reason: str
    source: str
    time_s: int
    append_ms: int
    partition: int
    offset: int
    json: str


class SplitRow(Row, frozen=True, kw_only=True):
    """The newest split of a service."""

    table: ClassVar[str] = "splits"
    key: ClassVar[tuple[str, ...]] = ("service",)
    newest_by: ClassVar[tuple[str, ...]] = ("version", "frozen")
    service: str
    version: int
    frozen: bool
    decision_id: str
    time_s: int
    json: str


class Document(Row, frozen=True, kw_only=True):
    """The document in force: the last configure command of its service."""

    table: ClassVar[str] = "documents"
    key: ClassVar[tuple[str, ...]] = ("service",)
    newest_by: ClassVar[tuple[str, ...]] = ("append_ms", "offset")
    service: str
    append_ms: int
    offset: int
    event_id: str
    actor: str
    json: str


class ArmModel(Row, frozen=True, kw_only=True):
    """Which model answers for an arm, by the newest split that has it."""

    table: ClassVar[str] = "arm_models"
    key: ClassVar[tuple[str, ...]] = ("service", "arm")
    newest_by: ClassVar[tuple[str, ...]] = ("version",)
    service: str
    arm: str
    model: str
    provider: str
    version: int


class DeadLetter(Row, frozen=True, kw_only=True):
    """Input that could not be used, and why; the bytes stay on the topic."""

    table: ClassVar[str] = "dead_letters"
    key: ClassVar[tuple[str, ...]] = ("partition", "offset")
    partition: int
    offset: int
    append_ms: int
    reason: str
    error: str
    source_topic: str
    source_partition: str
    source_offset: str


ROWS: tuple[type[Row], ...] = (
    Event, Aggregate, Finding, Saving, CommandRow, SplitRow, Document, ArmModel, DeadLetter,
)  # fmt: skip
