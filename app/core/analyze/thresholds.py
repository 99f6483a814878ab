"""Thresholds from a budget of false alarms: the user says how many a week, the thresholds follow (STATISTICS 2).

The budget of a service is shared by its watched series: each may alarm falsely once per ``arl_panes`` panes. From that,

    CUSUM       level with this average run and half more, for the error of the reference (Siegmund's approximation)
    variance    level measured for it
    e-detector  M >= arl_panes: a bound, not an approximation, because it is counted in panes
    tests that run every W panes (two windows, KS, PSI, z, MAD)   p = W / arl_panes, as a p-value or as |z|

Fixed thresholds of the document come first. Run lengths hold for independent panes; series that remember (daily
trends) alarm more often whatever the threshold, so watch what is left after the trend.

>>> auto = tuned(Budget(alarms_per_week=1.0, series=12), samples_per_pane=100)
>>> round(auto.arl_panes), round(auto.cusum, 1), round(auto.z, 2)
(120960, 10.9, 4.46)
"""

import math

import msgspec

from app.core.stats import cusum, e_detector, normal, spread

PANES_A_WEEK = 10_080
LEAST_ARL_PANES = 20.0
"""No budget makes a rule that alarms every few minutes."""
MOST_ARL_PANES = 1e9
REFERENCE_ERROR = 1.5


class Budget(msgspec.Struct, frozen=True, array_like=True):
    """``alarms_per_week``: false alarms of a service that are acceptable, > 0; ``series``: (arm, metric, rule) watched
    at the same time; ``pane_s``: seconds a pane.
    """

    alarms_per_week: float = 1.0
    series: int = 1
    pane_s: float = 60.0


class Thresholds(msgspec.Struct, frozen=True, array_like=True):
    """``arl_panes``: panes to a false alarm of one series; ``cusum`` and ``spread`` in nats; ``e_limit`` of M;
    ``p`` and two-sided ``z`` of a test that runs at every pane.
    """

    arl_panes: float
    cusum: float
    spread: float
    e_limit: float
    p: float
    z: float


class Fixed(msgspec.Struct, frozen=True, array_like=True):
    """Thresholds a document may set by hand; ``None``: from the budget."""

    cusum: float | None = None
    e_limit: float | None = None
    z: float | None = None


NOTHING_FIXED = Fixed()
STANDARD = Thresholds(
    arl_panes=e_detector.LIMIT,
    cusum=cusum.LIMIT,
    spread=spread.LIMIT,
    e_limit=e_detector.LIMIT,
    p=1.0 / e_detector.LIMIT,
    z=normal.quantile(1.0 - 0.5 / e_detector.LIMIT),
)
"""Without a budget: the calibrated ones, an average run of 10,000."""


def arl_panes(budget: Budget) -> float:
    """Panes one series may run to a false alarm. ``ValueError`` when the budget is no positive number."""
    if not (0.0 < budget.alarms_per_week < math.inf and budget.series >= 1 and 0.0 < budget.pane_s < math.inf):
        raise ValueError(
            "a false-alarm budget needs alarms_per_week > 0 (for example 1), series >= 1 and pane_s > 0, "
            f"got {budget.alarms_per_week}, {budget.series} and {budget.pane_s}"
        )
    week = PANES_A_WEEK * 60.0 / budget.pane_s
    return min(MOST_ARL_PANES, max(LEAST_ARL_PANES, week * budget.series / budget.alarms_per_week))


def tuned(budget: Budget, samples_per_pane: float = 1.0, fixed: Fixed = NOTHING_FIXED) -> Thresholds:
    """Thresholds of one series of a service with this traffic. ``samples_per_pane``: observations of the metric."""
    run = arl_panes(budget)
    p = p_every(run, 1)
    return Thresholds(
        arl_panes=run,
        cusum=cusum.limit_for(REFERENCE_ERROR * run, max(1.0, samples_per_pane))
        if fixed.cusum is None
        else fixed.cusum,
        spread=spread.limit_for(run),
        e_limit=run if fixed.e_limit is None else fixed.e_limit,
        p=p,
        z=normal.quantile(1.0 - 0.5 * p) if fixed.z is None else fixed.z,
    )


def p_every(run_panes: float, panes: int) -> float:
    """The p at which a test that runs every so many ``panes`` alarms falsely once per ``run_panes`` on average."""
    return min(0.5, max(1, panes) / run_panes)


def z_every(run_panes: float, panes: int) -> float:
    """The two-sided |z| that belongs to ``p_every``."""
    return normal.quantile(1.0 - 0.5 * p_every(run_panes, panes))
