"""Every topic the optimizer reads or writes: what it is for, how it is made, and what must hold for it to be usable.

Names come from settings; the rest is data here. ``plan`` compares the declared with the existing and touches nothing.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from app.settings import Topics

EVIDENCE = ("responses", "feedback", "spans")
"""Roles that are folded into panes and move the watermark."""

CONTROL = (
    "commands",
    "sentinel_anomaly",
    "sentinel_security",
    "sentinel_drift",
    "anomalies",
    "governance_alerts",
    "governance_violations",
    "registry",
    "metrics",
    "requests",
    "optimizations",
)
"""Roles whose events pass through ingest as control facts."""

CHANGELOGS = ("services", "windows")
"""Roles whose partition n belongs to partition n of the facts."""

_DAY_MS = 86_400_000


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """A declared topic. ``required`` configuration is a matter of correctness; ``initial`` is set when it is made, and
    a platform team may choose otherwise afterwards.
    """

    role: str
    name: str
    key: str
    content: str
    partitions: int
    replication_factor: int
    required: Mapping[str, str]
    initial: Mapping[str, str]

    @property
    def config(self) -> dict[str, str]:
        """What a new topic is made with."""
        return {**self.initial, **self.required}


class Existing(msgspec.Struct, frozen=True):
    """A topic as the broker describes it. ``config`` is empty where the broker has none (the mock cluster)."""

    partitions: int
    config: Mapping[str, str]


class Difference(msgspec.Struct, frozen=True):
    """One way in which what exists is not what is declared. ``wrong``: a worker must not start on it."""

    topic: Topic
    kind: Literal["missing", "partitions", "config"]
    setting: str
    wanted: str
    found: str
    wrong: bool

    def __str__(self) -> str:
        if self.kind == "missing":
            return f"topic {self.topic.name} is missing"
        return f"topic {self.topic.name} has {self.setting} {self.found or 'unset'}, wanted {self.wanted}"


def declared(topics: Topics) -> tuple[Topic, ...]:
    """Every topic under its name from settings, in the order of the flow."""
    return tuple(_topic(topics, *row) for row in _TABLE if getattr(topics, row[0]))


def plan(wanted: Iterable[Topic], existing: Mapping[str, Existing]) -> list[Difference]:
    """What to change so that each wanted topic exists and is right; an empty list means nothing.

    Partition counts of existing topics are left alone (a key would change its partition), except that changelogs must
    have a partition for every partition of the facts: writers name it, so adding some moves nothing.
    """
    topics = _with_changelogs_like_facts(tuple(wanted), existing)
    return [difference for topic in topics for difference in _compare(topic, existing.get(topic.name))]


def _with_changelogs_like_facts(topics: tuple[Topic, ...], existing: Mapping[str, Existing]) -> Iterable[Topic]:
    facts = next((topic for topic in topics if topic.role == "facts"), None)
    if facts is None:
        return topics
    there = existing.get(facts.name)
    count = there.partitions if there else facts.partitions
    return (msgspec.structs.replace(t, partitions=count) if t.role in CHANGELOGS else t for t in topics)


def _compare(topic: Topic, there: Existing | None) -> Iterable[Difference]:
    if there is None:
        yield Difference(topic, "missing", "partitions", str(topic.partitions), "", wrong=True)
        return
    if topic.role in CHANGELOGS and there.partitions < topic.partitions:
        yield Difference(topic, "partitions", "partitions", str(topic.partitions), str(there.partitions), wrong=True)
    if not there.config:
        return
    for setting, value in topic.config.items():
        found = there.config.get(setting, "")
        if _meaning(setting, found) != _meaning(setting, value):
            yield Difference(topic, "config", setting, value, found, wrong=setting in topic.required)


def _meaning(setting: str, value: str) -> object:
    """Brokers spell numbers and lists in their own way (``0.1``, ``0.10``; ``compact,delete``)."""
    if setting == "cleanup.policy":
        return frozenset(value.split(","))
    try:
        return float(value)
    except ValueError:
        return value


_APPENDED = {"message.timestamp.type": "LogAppendTime"}
"""The broker's clock bounds how far an event's own time may lead (rule I2) and is the brain's log time (rule O8)."""

_DELETE = {"cleanup.policy": "delete"}
_COMPACT = {"cleanup.policy": "compact"}
_LARGE = {"max.message.bytes": str(4 << 20)}
"""One partial with every cell and session group is under 4 MiB, and cannot be split: the producer's bound as well."""
_CHANGELOG = {
    "min.compaction.lag.ms": "600000",  # a loader must find the rows of the commit it starts from
    "segment.bytes": str(64 << 20),
    "min.cleanable.dirty.ratio": "0.1",
    **_LARGE,
}

Row = tuple[str, str, str, Mapping[str, str], Mapping[str, str]]


def _kept(days: int) -> dict[str, str]:
    return {"retention.ms": str(days * _DAY_MS)}


_FOR_EVER = {"retention.ms": "-1"}

_TABLE: tuple[Row, ...] = (
    ("responses", "any", "response.completed: one answered request", _DELETE | _APPENDED, _kept(7)),
    ("feedback", "any", "feedback.recorded: a score for an answer", _DELETE | _APPENDED, _kept(7)),
    ("spans", "any", "OTLP trace requests: GenAI spans, many a record", _DELETE | _APPENDED, _kept(7)),
    ("requests", "any", "request.received and request.routed", _DELETE, _kept(7)),
    ("metrics", "any", "pre-aggregated metrics, thresholds exceeded", _DELETE, _kept(7)),
    ("sentinel_anomaly", "any", "anomalies seen by Sentinel", _DELETE, _kept(30)),
    ("sentinel_security", "any", "security alerts of Sentinel", _DELETE, _kept(30)),
    ("sentinel_drift", "any", "drift seen by Sentinel", _DELETE, _kept(30)),
    ("anomalies", "service", "findings of the optimizer and of others", _DELETE, _kept(30)),
    ("governance_alerts", "any", "budget alerts of Governance", _DELETE, _kept(30)),
    ("governance_violations", "any", "policy violations reported by Governance", _DELETE, _kept(30)),
    ("registry", "any", "models changed in the registry", _DELETE, _kept(30)),
    ("commands", "service, * = all", "configure, pause, approve, freeze...", _DELETE, _kept(365)),
    ("facts", "service", "internal: partials, marks and control facts", _DELETE | _APPENDED | _LARGE, _kept(2)),
    ("services", "service", "internal changelog: one row a service", _COMPACT, _CHANGELOG),
    ("windows", "service", "internal changelog: windows and pane rings", _COMPACT, _CHANGELOG),
    ("splits", "service", "desired state of each service; the newest version wins", _COMPACT, {}),
    ("optimizations", "service", "decisions and outcomes: the log of why", _DELETE, _FOR_EVER),
    ("aggregates", "service", "closed windows of 1, 5 and 15 minutes", _DELETE, _kept(30)),
    ("aggregates_hourly", "service", "closed windows of an hour", _DELETE, _kept(365)),
    ("dead_letters", "any", "input that could not be used, untouched, with the reason", _DELETE, _kept(30)),
)


def _topic(
    topics: Topics, role: str, key: str, content: str, required: Mapping[str, str], initial: Mapping[str, str]
) -> Topic:
    return Topic(
        role=role,
        name=getattr(topics, role),
        key=key,
        content=content,
        partitions=topics.partitions,
        replication_factor=topics.replication_factor,
        required=required,
        initial=initial,
    )
