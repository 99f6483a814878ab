"""What a change is expected to give, metric by metric, and where each expectation comes from (kept as evidence)."""

from app.core.decision import Impact
from app.core.levers.lever import Candidate
from app.core.off_policy import estimates
from app.core.row import Row

DOUBLY_ROBUST = "doubly robust, from its own requests beside the incumbent's"
INVERSE_PROPENSITY = "inverse propensity, from its own requests beside the incumbent's"
OWN_MEANS = "means of its own requests, not randomised: no interval"
PRICES = "price book on the present traffic: no interval"
LEVER = "what the strategy supposes: no interval"


def expected(row: Row, candidate: Candidate) -> tuple[dict[str, Impact], dict[str, str]]:
    """Impacts and their sources. An arm that was drawn beside the incumbent is estimated off-policy, with intervals;
    of any other only prices, its own means or the strategy's idea are known, and that is said.
    """
    found = estimates(row.off_policy, candidate.arm)
    impacts = {**candidate.expected, **found}
    return impacts, {metric: _source(row, candidate, metric, estimated=metric in found) for metric in sorted(impacts)}


def _source(row: Row, candidate: Candidate, metric: str, *, estimated: bool) -> str:
    if estimated:
        regressed = metric == "cost" and candidate.arm in row.off_policy.regressed
        return DOUBLY_ROBUST if regressed else INVERSE_PROPENSITY
    profile = row.profiles.get(candidate.arm)
    known = profile is not None and {"cost": profile.cost, "latency": profile.latency}.get(metric, profile.mean_quality)
    if known:
        return OWN_MEANS
    return PRICES if metric == "cost" else LEVER
