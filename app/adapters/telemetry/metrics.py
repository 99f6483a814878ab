"""What the parts counted, as readings; and readings as Prometheus' text."""

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from app.adapters.telemetry.catalogue import COUNTED, METRICS, UNCATALOGUED
from app.adapters.telemetry.metric import Metric, Reading, read


def counted(agent: str, stages: Mapping[str, Mapping[str, int]]) -> list[Reading]:
    """Readings of what each stage counted since the process began. A counter never seen is 0; a count in no catalogue
    is exported as ``uncatalogued``, so that nothing is lost for a missing line.
    """
    readings: list[Reading] = []
    for stage, counts in stages.items():
        found = dict(counts)
        for metric in (m for m in COUNTED if m.stage == stage):
            readings += _take(metric, agent, found)
        readings += [read(UNCATALOGUED, n, agent=agent, stage=stage, count=what) for what, n in sorted(found.items())]
    return readings


def _take(metric: Metric, agent: str, found: dict[str, int]) -> list[Reading]:
    """The readings of one metric; what it takes is removed from ``found``."""
    total = found.pop(metric.count, 0)
    if not metric.varies:
        return [read(metric, total, agent=agent)]
    names = sorted(name for name in found if name.startswith(f"{metric.count}_"))
    return [
        read(metric, found.pop(name), **{"agent": agent, metric.varies: name.removeprefix(f"{metric.count}_")})
        for name in names
    ]


class _Readings(Collector):
    def __init__(self, readings: Iterable[Reading]) -> None:
        self._readings = list(readings)

    def collect(self) -> Iterable[Family]:
        for metric in METRICS:
            found = [reading for reading in self._readings if reading.metric is metric]
            if found:
                family = (CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily)(
                    metric.name.removesuffix("_total"), metric.help, labels=metric.labels
                )
                for reading in found:
                    family.add_metric([reading.labels[label] for label in metric.labels], reading.value)
                yield family


def exposition(readings: Iterable[Reading]) -> str:
    """The Prometheus text format, version 0.0.4, in the order of the catalogue."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Readings(readings))
    return generate_latest(registry).decode()
