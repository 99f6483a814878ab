"""The limits of the service document, held against an arm: each one a constraint with its value.

What is not measured yet does not stop a trial, which is there to measure it; it stops the arm from taking over.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from app.core.budget import PERIODS, limit_of
from app.core.decision import Constraint
from app.core.document import EVERYWHERE, ServiceDocument
from app.core.policy.view import Proposed
from app.core.row import Row
from app.core.stats.normal import cdf

Metrics = Mapping[str, float]


class _Cap(NamedTuple):
    """A limit and where its value comes from; ``least``: the value must not be below it."""

    name: str
    limit: float | None
    value: Callable[[Metrics, Proposed], float | None]
    least: bool = False


def constraints(row: Row, proposed: Proposed, metrics: Metrics) -> Iterator[Constraint]:
    """Every limit the document sets, in fixed order."""
    document = row.document
    for cap in _caps(document):
        if cap.limit is not None:
            value = cap.value(metrics, proposed)
            yield _held(f"limits.{cap.name}", cap.limit, value, proposed, least=cap.least)
    yield from _approved(document, proposed)
    yield from _residency(document, proposed)
    yield from _promised(row, metrics, proposed)
    yield from _budget(row, metrics, proposed)


def _caps(document: ServiceDocument) -> tuple[_Cap, ...]:
    limits = document.limits
    return (
        _Cap("cost_usd_per_request", limits.cost_usd_per_request, lambda m, _: m.get("cost_usd")),
        _Cap("latency_ms", limits.latency_ms, lambda m, _: m.get("latency_ms")),
        _Cap("tokens_per_request", limits.tokens_per_request, lambda m, _: _tokens(m)),
        _Cap("output_tokens", limits.output_tokens, _output_tokens),
        _Cap("quality_min", limits.quality_min, lambda m, _: m.get("quality_score"), least=True),
        _Cap("error_rate", limits.error_rate, lambda m, _: m.get("error_rate")),
    )


def _tokens(metrics: Metrics) -> float | None:
    if "input_tokens" not in metrics or "output_tokens" not in metrics:
        return None
    return metrics["input_tokens"] + metrics["output_tokens"]


def _output_tokens(metrics: Metrics, proposed: Proposed) -> float | None:
    declared = proposed.arm.parameters.get("max_tokens")
    if isinstance(declared, int | float) and not isinstance(declared, bool):
        return float(declared)
    return metrics.get("output_tokens")


def _held(name: str, limit: float, value: float | None, proposed: Proposed, *, least: bool) -> Constraint:
    if value is None:
        why = "not measured" if proposed.final else "not measured yet; a trial will"
        return Constraint(name=name, limit=limit, value=None, satisfied=not proposed.final, detail=why)
    return Constraint(name=name, limit=limit, value=value, satisfied=value >= limit if least else value <= limit)


def _approved(document: ServiceDocument, proposed: Proposed) -> Iterator[Constraint]:
    approved, model = document.limits.approved_models, proposed.arm.model or proposed.arm.name
    if approved:
        detail = "" if model in approved else f"the model {model} is not approved"
        yield _none("limits.approved_models", [detail] if detail else [])


def _residency(document: ServiceDocument, proposed: Proposed) -> Iterator[Constraint]:
    residency, region = document.limits.residency, proposed.arm.region
    if not residency:
        return
    broken = [
        f"{proposed.arm.name} answers in {region or 'an unknown region'}, segment {segment} must stay in "
        + " or ".join(regions)
        for segment, regions in sorted(residency.items())
        if segment in {EVERYWHERE, *document.segment_names} and region not in regions
    ]
    yield _none("limits.residency", broken)


def _none(name: str, broken: list[str]) -> Constraint:
    """A rule that may be broken nowhere: its value is how often it is."""
    return Constraint(name=name, limit=0.0, value=float(len(broken)), satisfied=not broken, detail="; ".join(broken))


def _promised(row: Row, metrics: Metrics, proposed: Proposed) -> Iterator[Constraint]:
    """The service level objectives: an arm that breaks the promise by itself gets no traffic.

    The share of answers within the promised latency is counted (``Profile.within``). Of an arm without enough answers
    since the promise was made it is that of a lognormal law with its mean and the spread of the service's latencies.
    """
    slo = row.document.slo
    if slo.availability is not None:
        failed = metrics.get("error_rate")
        answered = None if failed is None else 1 - failed
        yield _held("slo.availability", slo.availability, answered, proposed, least=True)
    if slo.latency_ms is not None:
        profile = row.profiles.get(proposed.arm.name)
        share = None if profile is None else profile.share_within(slo.latency_ms)
        if share is None:
            share = _share_within(slo.latency_ms, metrics.get("latency_ms"), row.spread.latency)
        yield _held("slo.latency_share", slo.latency_share, share, proposed, least=True)


def _budget(row: Row, metrics: Metrics, proposed: Proposed) -> Iterator[Constraint]:
    """A spent budget forbids every arm that is not known to be cheaper than the incumbent (``app.core.budget``)."""
    base, cost = row.profiles.get(row.incumbent), metrics.get("cost_usd")
    cheaper = base is not None and base.cost is not None and cost is not None and cost < base.cost
    for period, name in zip(PERIODS, ("daily_cost", "monthly_cost"), strict=True):
        limit, value = limit_of(row.document, period), metrics.get(name)
        if limit is None or value is None:
            continue
        left = value < limit.usd
        detail = "" if left else f"it is spent, {proposed.arm.name} is {'' if cheaper else 'not known to be '}cheaper"
        kept = left or cheaper
        yield Constraint(name=limit.name, limit=limit.usd, value=value, satisfied=kept, detail=detail)


def _share_within(limit_ms: float, mean_ms: float | None, log_variance: float) -> float | None:
    if mean_ms is None or mean_ms <= 0.0:
        return None
    spread = max(1e-6, log_variance)
    return cdf((math.log(limit_ms / mean_ms) + spread / 2) / math.sqrt(spread))
