"""Metrics by name, unit and scale, and the one plain sentence of a finding."""

from math import exp

import msgspec


class Metric(msgspec.Struct, frozen=True):
    """``words`` begin the sentence; ``unit``: ms, %, USD, points, tokens ...; ``logs``: kept as its logarithm."""

    name: str
    words: str
    unit: str
    logs: bool = False

    def shown(self, value: float) -> float:
        """A kept value in the metric's unit."""
        return exp(min(value, 200.0)) if self.logs else value


LATENCY = Metric("latency_ms", "Latency", "ms", logs=True)
ERRORS = Metric("error_rate", "The error rate", "%")
SLOW_P95 = Metric("latency_ms_p95", "The share of answers slower than the usual 95th percentile", "%")
SLOW_P99 = Metric("latency_ms_p99", "The share of answers slower than the usual 99th percentile", "%")
OVER_P95 = Metric("latency_ms_p95", "The share of answers slower than the limit of the 95th percentile", "%")
OVER_P99 = Metric("latency_ms_p99", "The share of answers slower than the limit of the 99th percentile", "%")
TTFT = Metric("ttft_ms", "Time to the first token", "ms", logs=True)
THROUGHPUT = Metric("tokens_per_s", "Output speed", "tokens/s", logs=True)
COST = Metric("cost_usd", "Cost of a request", "USD", logs=True)
UNIT_PRICE = Metric("price_ratio", "The price of the same tokens", "x usual")
INPUT = Metric("input_tokens", "Length of prompts", "tokens", logs=True)
OUTPUT = Metric("output_tokens", "Length of answers", "tokens", logs=True)
REQUESTS = Metric("requests_per_min", "Traffic", "requests/min", logs=True)
SPEND = Metric("spend_usd", "Spending", "USD")
BURN_OK = Metric("slo_availability", "The burn of the error budget (failed answers)", "x allowed")
BURN_FAST = Metric("slo_latency", "The burn of the error budget (slow answers)", "x allowed")


def quality(channel: str) -> Metric:
    """Mean score of one channel; watched as 1 - score."""
    return Metric(f"quality_{channel}", f"Quality ({channel} scores)", "points")


def sentence(metric: Metric, arm: str, segment: str, value: float, usual: float, *, fixed: bool) -> str:
    """What happened, in plain words."""
    about = "" if arm == "*" else f" of {arm}" if segment == "*" else f" of {arm} in segment {segment}"
    verb = "rose" if value >= usual else "fell"
    against = f"the limit is {amount(metric, usual)}" if fixed else f"usual is {amount(metric, usual)}"
    return f"{metric.words}{about} {verb} to {amount(metric, value)}; {against}."


def amount(metric: Metric, value: float) -> str:
    """``value`` with its unit."""
    if metric.unit == "%":
        return f"{100 * value:.2g} %" if value < 0.1 else f"{100 * value:.0f} %"
    if metric.unit == "points":
        return f"{100 * value:.1f} points"
    if metric.unit == "USD":
        return f"{value:.4g} USD"
    return f"{value:,.0f} {metric.unit}" if abs(value) >= 100 else f"{value:.3g} {metric.unit}"
