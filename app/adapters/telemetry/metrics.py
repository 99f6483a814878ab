"""Exports the parts' counts in Prometheus' text format under the names of the catalogue."""

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from app.adapters.telemetry.catalogue import CATALOGUE, PREFIX

Counts = Callable[[], Mapping[str, int]]
"""Reads the counts of one stage, summed over its partitions, since the process began."""


class CountsCollector(Collector):
    """Reads every stage's counts when it is scraped. A count that is in no catalogue is exported as ``uncatalogued``,
    with its stage and name as labels, so that nothing is lost for a missing line.
    """

    def __init__(self, stages: Mapping[str, Counts]) -> None:
        self._stages = dict(stages)

    def collect(self) -> Iterable[Metric]:
        strays = CounterMetricFamily(
            f"{PREFIX}_uncatalogued", "counts without a catalogue entry", labels=["stage", "count"]
        )
        for stage, counts in self._stages.items():
            found = dict(counts())
            yield from _families(stage, found)
            for name in sorted(found):
                strays.add_metric([stage, name], found[name])
        if strays.samples:
            yield strays


def _families(stage: str, found: dict[str, int]) -> Iterable[Metric]:
    """The catalogued families of a stage; what they take is removed from ``found``. A counter never seen is 0."""
    for metric in (m for m in CATALOGUE.values() if m.stage == stage):
        if not metric.label:
            yield CounterMetricFamily(metric.name, metric.meaning, value=found.pop(metric.count, 0))
            continue
        found.pop(metric.count, None)  # the sum over the label
        family = CounterMetricFamily(metric.name, metric.meaning, labels=[metric.label])
        for name in sorted(n for n in found if n.startswith(f"{metric.count}_")):
            family.add_metric([name.removeprefix(f"{metric.count}_")], found.pop(name))
        yield family


def exposition(stages: Mapping[str, Counts]) -> tuple[bytes, str]:
    """The body and content type of /metrics."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(CountsCollector(stages))
    return generate_latest(registry), CONTENT_TYPE_LATEST
