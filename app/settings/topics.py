"""The names of the topics and how they are made; what each topic is for stands in ``app/topics.py``."""

from typing import Annotated

from msgspec import Meta

from app.settings.section import Section

TopicName = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9._-]{1,249}$", examples=["llm.responses"], description="Name of the topic for this role."
    ),
]


class Topics(Section, frozen=True, kw_only=True):
    """Role -> topic name. Rename one here when the platform already has a topic for that role."""

    partitions: Annotated[
        int,
        Meta(
            ge=1,
            le=1000,
            description="Partitions of topics that `topics apply` makes: the most workers that can share an agent.",
        ),
    ] = 8
    replication_factor: Annotated[
        int,
        Meta(ge=-1, le=9, description="Copies of each partition; -1: the broker's default. Three in production."),
    ] = -1

    responses: TopicName = "llm.responses"
    feedback: TopicName = "llm.feedback"
    spans: Annotated[
        str,
        Meta(
            pattern=r"^([A-Za-z0-9._-]{1,249})?$",
            description="Spans of the Collector's Kafka exporter; empty: none are read.",
        ),
    ] = "otlp_spans"
    requests: TopicName = "llm.requests"
    metrics: TopicName = "llm.metrics"
    sentinel_anomaly: TopicName = "llm.sentinel.anomaly.detected"
    sentinel_security: TopicName = "llm.sentinel.security.alert"
    sentinel_drift: TopicName = "llm.sentinel.drift.detected"
    anomalies: TopicName = "llm.anomalies"
    governance_alerts: TopicName = "llm.governance.alerts"
    governance_violations: TopicName = "llm.governance.violations"
    registry: TopicName = "llm.registry"
    commands: TopicName = "llm.commands"
    facts: TopicName = "llm-optimizer.facts"
    services: TopicName = "llm-optimizer.services"
    windows: TopicName = "llm-optimizer.windows"
    splits: TopicName = "llm.splits"
    optimizations: TopicName = "llm.optimizations"
    aggregates: TopicName = "llm.aggregates"
    aggregates_hourly: TopicName = "llm.aggregates.hourly"
    dead_letters: TopicName = "llm.dead-letters"
