"""Own metrics by OTLP, under the names of the catalogue; loaded only when an endpoint is set."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, MutableMapping

from opentelemetry.metrics import CallbackOptions, Meter, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

from app.adapters.telemetry.catalogue import METRICS
from app.adapters.telemetry.metric import Metric, Reading

log = logging.getLogger(__name__)

SERVICE = "llm-auto-optimizer"
TIMEOUT_S = 10
NEVER_MS = 1e9
"""The reader's own timer is not used: readings are taken in the event loop, then pushed."""

Headers = Mapping[str, str]


def exporter(endpoint: str, headers: Headers) -> MetricExporter:
    """``grpc://host:port`` (or ``host:port``), or ``http(s)://host:port``, to which ``/v1/metrics`` is added where no
    path is given.
    """
    scheme, _, rest = endpoint.rpartition("://")
    if scheme in ("", "grpc"):
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as Grpc

        return Grpc(endpoint=rest, insecure=True, headers=dict(headers), timeout=TIMEOUT_S)
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as Http

    url = endpoint if "/" in rest.rstrip("/") else f"{endpoint.rstrip('/')}/v1/metrics"
    return Http(endpoint=url, headers=dict(headers), timeout=TIMEOUT_S)


class Push:
    """Pushes readings; ``instance`` tells this process from others of the same service."""

    def __init__(self, to: MetricExporter, instance: str) -> None:
        self._now: list[Reading] = []
        resource = Resource.create({"service.name": SERVICE, "service.instance.id": instance})
        reader = PeriodicExportingMetricReader(to, export_interval_millis=NEVER_MS)
        self._provider = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
        meter = self._provider.get_meter(SERVICE)
        for metric in METRICS:
            self._instrument(meter, metric)

    def _instrument(self, meter: Meter, metric: Metric) -> None:
        def observe(_: CallbackOptions) -> Iterable[Observation]:
            return [Observation(r.value, dict(r.labels)) for r in self._now if r.metric is metric]

        make = meter.create_observable_counter if metric.kind == "counter" else meter.create_observable_gauge
        unit = metric.unit if metric.unit in ("1", "s", "By") else f"{{{metric.unit}}}"
        make(metric.otlp, [observe], unit=unit, description=metric.help)

    def push(self, readings: Iterable[Reading]) -> bool:
        """Send them; False when the endpoint did not take them. Blocks, at most some ten seconds."""
        self._now = list(readings)
        return self._provider.force_flush(TIMEOUT_S * 1000)

    def close(self) -> None:
        """End the exporter's connection."""
        self._provider.shutdown()


async def push_for_ever(
    push: Push, readings: Callable[[], Iterable[Reading]], every_s: float, counts: MutableMapping[str, int]
) -> None:
    """Push each ``every_s``. An endpoint that does not answer costs nothing but a count (``exports_failed``)."""
    while True:
        await asyncio.sleep(every_s)
        try:
            taken = await asyncio.to_thread(push.push, readings())
        except Exception as error:  # noqa: BLE001  # whatever the exporter raises: telemetry may never stop the work
            log.warning("OTLP metrics: %r", error)
            taken = False
        if not taken:
            counts["exports_failed"] = counts.get("exports_failed", 0) + 1
