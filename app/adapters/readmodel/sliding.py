"""Windows of any length: closed minutes (or 5, 15, 60 minutes) added up, quantiles from their merged histograms."""

from collections.abc import Iterable
from typing import Any

import msgspec

from app.adapters.readmodel.answers import WindowSums
from app.core.events import rfc3339
from app.core.sketch import Histogram, merge_into, quantiles, unpack

_decode = msgspec.json.Decoder(dict[str, dict[str, float]]).decode

_SUMMED = (
    "count", "errors", "late", "input_tokens", "output_tokens", "cached_tokens", "cost_usd", "costed", "own_cost_usd",
)  # fmt: skip


class _Total:
    """Sums of one (arm, segment, slice); mutable, lives for one ``merged``."""

    def __init__(self) -> None:
        self.sums: dict[str, Any] = dict.fromkeys(_SUMMED, 0)
        self.windows = 0
        self.start_s, self.end_s = 2**62, 0
        self.latency_ms = self.latency_ms_max = 0.0
        self.histogram: Histogram | None = {}
        self.scores: dict[str, list[float]] = {}
        self.complete = True

    def add(self, row: Any) -> None:
        for name in _SUMMED:
            self.sums[name] += row[name]
        self.windows += 1
        self.start_s, self.end_s = min(self.start_s, row["start_s"]), max(self.end_s, row["end_s"])
        self.latency_ms += row["latency_ms_mean"] * row["count"]
        self.latency_ms_max = max(self.latency_ms_max, row["latency_ms_max"])
        self.complete &= bool(row["complete"])
        if row["histogram"] is None:
            self.histogram = None
        elif self.histogram is not None:
            merge_into(self.histogram, unpack(row["histogram"]))
        for channel, score in _decode(row["quality_json"]).items():
            total = self.scores.setdefault(channel, [0.0, 0.0])
            total[0] += score["n"]
            total[1] += score["n"] * score["mean"]

    def answer(self, service: str, key: tuple[str, str, str]) -> WindowSums:
        arm, segment, slice_ = key
        count = self.sums["count"]
        p50, p95, p99 = quantiles(self.histogram, (0.5, 0.95, 0.99)) if self.histogram else (None, None, None)
        return WindowSums(
            service=service,
            arm=arm,
            segment=segment,
            slice=slice_,
            start=rfc3339(self.start_s),
            end=rfc3339(self.end_s),
            windows=self.windows,
            latency_ms_mean=self.latency_ms / count if count else 0.0,
            latency_ms_p50=p50,
            latency_ms_p95=p95,
            latency_ms_p99=p99,
            latency_ms_max=self.latency_ms_max,
            quality={
                c: {"n": int(n), "mean": total / n if n else 0.0} for c, (n, total) in sorted(self.scores.items())
            },
            complete=self.complete,
            **self.sums,
        )


def merged(service: str, rows: Iterable[Any]) -> list[WindowSums]:
    """Rows of ``aggregates`` of one service and one size, added up by (arm, segment, slice), in that order."""
    totals: dict[tuple[str, str, str], _Total] = {}
    for row in rows:
        totals.setdefault((row["arm"], row["segment"], row["slice"]), _Total()).add(row)
    return [totals[key].answer(service, key) for key in sorted(totals)]
