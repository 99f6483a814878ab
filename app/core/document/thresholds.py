"""What must not happen (thresholds), what was promised (objectives), and how often an analyzer may be wrong."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Rate = Annotated[float, Meta(gt=0, lt=1)]
Share = Annotated[float, Meta(ge=0.5, lt=1)]
Usd = Annotated[float, Meta(gt=0, le=1e9)]
LimitMs = Annotated[float, Meta(gt=0, le=1e9)]
Detector = Literal[
    "river.drift.ADWIN",
    "river.drift.KSWIN",
    "river.drift.PageHinkley",
    "river.anomaly.GaussianScorer",
    "river.anomaly.HalfSpaceTrees",
    "river.anomaly.LocalOutlierFactor",
    "river.anomaly.OneClassSVM",
    "river.anomaly.StandardAbsoluteDeviation",
    "zscore",
    "iqr",
    "mad",
    "own",
]


class Thresholds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Fixed limits make findings of their own. Everything else is compared with what is usual for the service, with
    limits that follow from the false alarms it accepts.
    """

    false_alarms_per_week: Annotated[
        float, Meta(gt=0, le=1000, description="False findings a week that are acceptable, all analyzers together.")
    ] = 1.0
    latency_ms_p95: Annotated[LimitMs | None, Meta(description="Limit of the 95th percentile of latency, ms.")] = None
    latency_ms_p99: Annotated[LimitMs | None, Meta(description="Limit of the 99th percentile of latency, ms.")] = None
    ttft_ms: Annotated[LimitMs | None, Meta(description="Limit of the mean time to the first token, ms.")] = None
    error_rate: Annotated[Rate | None, Meta(description="Limit of the share of failed answers (0.05 = 5 %).")] = None
    quality_min: Annotated[Rate | None, Meta(description="Least mean score, 0-1, in every channel.")] = None
    cost_usd_per_request: Annotated[Usd | None, Meta(description="Limit of the mean cost of a request, USD.")] = None
    detector: Annotated[
        Detector,
        Meta(description="Looks at the last 128 minutes of every pane series each quarter of an hour, beside our own."),
    ] = "river.drift.ADWIN"


class Slo(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Service level objectives: a finding when the error budget burns too fast over 5 minutes and over an hour. Without
    one, `thresholds.error_rate` and `thresholds.latency_ms_p95` take its place.
    """

    availability: Annotated[Share | None, Meta(description="Share of answers that must not fail (0.99).")] = None
    latency_ms: Annotated[LimitMs | None, Meta(description="Latency promised, ms.")] = None
    latency_share: Annotated[Share, Meta(description="Share of answers that must be as fast as `latency_ms`.")] = 0.95
