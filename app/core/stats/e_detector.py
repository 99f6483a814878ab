"""Batch e-detector: has a rate of failures (or 1 - quality) risen? Once per closed pane, from its counts.

    M = (M + 1) E,   E = ((q / p)^bad) ((1 - q) / (1 - p))^(n - bad)

for every alternative q whose odds are ``ODDS`` times those of the reference rate p; the mean over the alternatives
alarms at M >= ``LIMIT`` (Shin, Ramdas, Rinaldo, E-detectors, New England J. Stat. Data Sci. 2024, the e-SR form). While
the rate is at most p the average number of *panes* to a false alarm is at least ``LIMIT``, whatever the traffic, and of
samples therefore too. ``bad`` may be a sum of any values in [0, 1]: by convexity E stays an e-value.

With a known p (``update(..., rate=p)``) the bound is a theorem. A learned p carries its own error: it is taken
``MARGIN`` standard errors on the safe side (more with a short reference or a high level), and the bound is then
measured (docs/evidence/calibration.md). Counts of overdispersed panes (``stats.reference``) are tempered: E to a power
below 1 stays an e-value.

>>> state = EDetector()
>>> for x in range(2000): state = update(state, 1 if x % 10 == 0 else 0, 1)
>>> alarm(state)
False
>>> alarm(update(state, 40, 100))
True
"""

import math

import msgspec

from app.core.stats.reference import LIMIT_N, Normal, Sums, forgot_recent, learned

ODDS = (1.4, 2.25)
LIMIT = 10_000.0
MARGIN = 0.4
LARGEST = 1e9


class EDetector(msgspec.Struct, frozen=True, array_like=True):
    """State of one rate. ``logs``: ln(M + 1) per alternative, 0 at rest; ``skipped``: panes that were not counts."""

    normal: Normal = Normal()
    logs: tuple[float, ...] = (0.0,) * len(ODDS)
    skipped: int = 0


def update(
    state: EDetector, bad: float, n: int, *, rate: float | None = None, limit: float = LIMIT, idle: float = 0.0
) -> EDetector:
    """Add a pane of ``n`` observations of which ``bad`` (0 <= bad <= n) failed; other counts are left out, counted.

    ``rate``: the promised rate, if there is one, in (0, 1); otherwise it is learned from the first panes. ``idle``: how
    far a learned rate may rise without having risen.
    """
    if not (math.isfinite(bad) and 0.0 <= bad <= n):
        return msgspec.structs.replace(state, skipped=state.skipped + 1)
    if n == 0:
        return state
    pane = Sums(n, bad, bad)
    if rate is None and not state.normal.ready:
        return msgspec.structs.replace(state, normal=learned(state.normal, pane))
    p = min(0.999, expected_rate(state.normal, limit) + idle) if rate is None else rate
    logs = tuple(
        [_log1p_exp(min(LARGEST, log + _log_e(bad, n, p, odds))) for log, odds in zip(state.logs, ODDS, strict=True)]
    )
    grown = EDetector(state.normal, logs, state.skipped)
    normal = forgot_recent(state.normal) if alarm(grown, limit) else learned(state.normal, pane)
    return msgspec.structs.replace(grown, normal=normal)


def alarm(state: EDetector, limit: float = LIMIT) -> bool:
    """Whether the rate has risen."""
    least = math.log(limit)
    return max(state.logs) >= least and log_level(state) >= least  # a mean is never more than the largest


def level(state: EDetector, limit: float = LIMIT) -> float:
    """Share of the way to an alarm on the logarithmic scale, in [0, 1]; 1 means alarm."""
    return 1.0 if alarm(state, limit) else min(1.0, max(0.0, log_level(state)) / max(1e-9, math.log(limit)))


def log_level(state: EDetector) -> float:
    """Logarithm of the mean M over the alternatives; -inf at rest."""
    top = max(state.logs)
    if top <= 0.0:
        return -math.inf
    mean = sum(math.exp(log - top) - math.exp(-top) for log in state.logs) / len(state.logs)
    return top + math.log(mean) if mean > 0.0 else -math.inf


def expected_rate(normal: Normal, limit: float = LIMIT) -> float:
    """The reference rate with one failure and one success added, some standard errors higher, inside (0, 1).

    An error of the rate multiplies false alarms exponentially, so their average asks for a margin in proportion to the
    standard error (as the mean of a lognormal does), and to the logarithm of the level.
    """
    n = normal.reference.n + 2.0
    p, dispersion = (normal.reference.total + 1.0) / n, normal.reference.dispersion
    margin = MARGIN * math.sqrt(LIMIT_N * dispersion / n) * max(0.0, math.log(limit)) / math.log(LIMIT)
    return min(1.0 - 0.5 / n, p + margin * math.sqrt(p * (1.0 - p) * dispersion / n))


def restarted(state: EDetector) -> EDetector:
    """After an alarm: same reference, no evidence."""
    return EDetector(forgot_recent(state.normal), skipped=state.skipped)


def rebaselined(state: EDetector) -> EDetector:
    """After an accepted change: what comes next is the new normal."""
    return EDetector(skipped=state.skipped)


def _log_e(bad: float, n: int, p: float, odds: float) -> float:
    """Log of E of one alternative: q / p = odds / (1 - p + odds p) and (1 - q) / (1 - p) = 1 / (1 - p + odds p)."""
    return bad * math.log(odds) - n * math.log1p(p * (odds - 1.0))


def _log1p_exp(x: float) -> float:
    return x if x > 36.0 else math.log1p(math.exp(x))
