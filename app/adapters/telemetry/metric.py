"""What a metric is, and one reading of it."""

from collections.abc import Mapping
from typing import Literal

import msgspec

PREFIX = "llm_optimizer"

Kind = Literal["counter", "gauge"]
Unit = Literal["1", "s", "By", "records", "events", "batches", "minutes", "services", "USD"]
"""UCUM codes, or what is counted."""
Stage = Literal["codec", "ingest", "optimize", "lane", "host", "actuate"]


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """One declared metric. ``key``: its name after the prefix, without the ``_total`` that a counter's name ends in.
    ``labels`` take their values from closed sets, or from the sources (``topic-partition``) of this worker.
    ``stage``: the part that counts it, in a dictionary under the last word or words of ``key``; empty: it is measured
    when it is asked for. ``standard``: the name that the platform's interfaces give it, used instead of ``key``.
    """

    key: str
    kind: Kind
    unit: Unit
    help: str
    labels: tuple[str, ...] = ("agent",)
    stage: Stage | None = None
    standard: str = ""

    @property
    def name(self) -> str:
        """The name in Prometheus' text: ``llm_optimizer_lag_records``, ``llm_optimizer_flushes_total``."""
        base = self.standard.replace(".", "_") or f"{PREFIX}_{self.key}"
        return f"{base}_total" if self.kind == "counter" else base

    @property
    def otlp(self) -> str:
        """The instrument's name in OTLP: the standard name, else as in Prometheus without ``_total``."""
        return self.standard or f"{PREFIX}_{self.key}"

    @property
    def count(self) -> str:
        """The name under which its stage counts it."""
        return self.key.removeprefix(f"{self.stage}_") if self.stage else ""

    @property
    def varies(self) -> str:
        """The label beside ``agent`` of a counted metric: it collects the counts that begin with its name."""
        return next((label for label in self.labels if label != "agent"), "")


class Reading(msgspec.Struct, frozen=True):
    """A metric's value now, for one set of labels."""

    metric: Metric
    labels: Mapping[str, str]
    value: float


def read(metric: Metric, value: float, **labels: str) -> Reading:
    """A reading of ``metric``. Raises ``ValueError`` when the labels are not the declared ones."""
    if set(labels) != set(metric.labels):
        raise ValueError(f"{metric.name} is declared with the labels {metric.labels}, not {tuple(sorted(labels))}")
    return Reading(metric, labels, float(value))
