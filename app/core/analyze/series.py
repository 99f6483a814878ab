"""Series that are watched for a lasting change: calm until their detector alarms, then out until they came back.

``MeanWatch`` is a mean (batch CUSUM), ``RateWatch`` a rate of failures or of anything in 0-1 (batch e-detector). The
way back is a test of its own: the log-likelihood ratio of what is usual against what was found, summed up panes and
never below 0, must reach ``SURE`` and have been above 0 for ``CLEAN_PANES`` panes. A level that stays for
``NEW_NORMAL_S`` is the new normal and is learned afresh.
"""

import math
from typing import Literal

import msgspec

from app.core.stats import cusum, e_detector
from app.core.stats.cusum import Cusum
from app.core.stats.e_detector import EDetector
from app.core.stats.reference import Reference, Sums, scale

CLEAN_PANES = 10
SURE = math.log(100.0)
SURELY = 0.8
RECENT = 0.85
FADE = 0.95
IDLE = 0.5
"""A mean that moved by less than this share of what is worth telling has not moved: a day's ebb and flow is none."""
NEW_NORMAL_S = 86_400
_LARGEST = 20.0

Moved = Literal["", "raised", "on", "cleared"]
"""Nothing; the alarm began; it goes on; it ended."""


class Excursion(msgspec.Struct, frozen=True, array_like=True):
    """Away from ``usual``, lately at about ``value``: the mean of the newest observations (``recent_n``), fading over
    about 20 panes. ``n`` and ``total`` are those of the alarm and all since; neither counts what looks like a way back.
    ``told``: the highest severity told (rank, -1: none); ``recovery``: evidence of the way back, in nats; ``clean``:
    panes since that was 0.
    """

    since_s: int
    value: float
    usual: float
    told: int = -1
    n: float = 0.0
    total: float = 0.0
    clean: int = 0
    recovery: float = 0.0
    recent_n: float = 0.0
    recent_total: float = 0.0

    @property
    def surely(self) -> float:
        """Where it surely went: an alarm comes when an estimate is high, so the way back is judged by less."""
        mean = self.total / self.n if self.n else self.value
        return self.usual + SURELY * (mean - self.usual)


class MeanWatch(msgspec.Struct, frozen=True, array_like=True):
    """A watched mean."""

    detector: Cusum = Cusum()
    out: Excursion | None = None


class RateWatch(msgspec.Struct, frozen=True, array_like=True):
    """A watched rate; ``n`` and ``bad``: the newest observations, fading over ``RECENT`` (about six panes)."""

    detector: EDetector = EDetector()
    out: Excursion | None = None
    n: float = 0.0
    bad: float = 0.0


class Strange(msgspec.Struct, frozen=True, array_like=True):
    """A series that the scorer (``packed``) judges; ``mean``: its slow mean, standing still during an excursion."""

    packed: bytes = b""
    seen: int = 0
    mean: float = 0.0
    out: Excursion | None = None


def step_mean(
    watch: MeanWatch,
    pane: Sums,
    limit: float,
    now_s: int,
    floor: float = 0.0,
    above: float = 0.0,
    below: float = 0.0,
) -> tuple[MeanWatch, Moved]:
    """Add a closed pane (complete, else leave it out). ``floor``: least standard deviation of one observation;
    ``above``, ``below``: what counts as no move (``stats.cusum``).
    """
    if not pane.usable:
        return watch, ""
    if watch.out is not None:
        normal = watch.detector.normal.reference
        sd = spread(normal, floor)
        usual, value = watch.out.usual, watch.out.surely
        gain = (usual - value) / (sd * sd) * (pane.total - 0.5 * pane.n * (usual + value))
        out = further(watch.out, pane.n, pane.total, gain)
        if back(out):
            return MeanWatch(cusum.restarted(watch.detector)), "cleared"
        if now_s - out.since_s >= NEW_NORMAL_S:
            return MeanWatch(cusum.rebaselined(watch.detector)), "cleared"
        return MeanWatch(watch.detector, out), "on"
    detector = cusum.update(watch.detector, pane, limit=limit, floor=floor, above=above, below=below)
    if not cusum.alarm(detector, limit):
        return MeanWatch(detector), ""
    usual, value = detector.normal.reference.mean, _found(detector, pane, floor, above, below)
    return MeanWatch(detector, Excursion(now_s, value, usual, n=float(pane.n), total=pane.n * value)), "raised"


def step_rate(
    watch: RateWatch,
    bad: float,
    n: int,
    limit: float,
    now_s: int,
    *,
    promised: float | None = None,
    idle: float = 0.0,
) -> tuple[RateWatch, Moved]:
    """Add a closed pane of ``n`` observations, ``bad`` of them failed. ``promised``: a fixed rate, not the usual, which
    may rise by ``idle`` without having risen.
    """
    if n <= 0 or not math.isfinite(bad):
        return watch, ""
    bad = min(max(bad, 0.0), float(n))
    if watch.out is not None:
        p, q = _between(watch.out) if promised is None else (0.5 * promised, min(0.999, 1.5 * promised))
        gain = bad * math.log(p / q) + (n - bad) * math.log((1.0 - p) / (1.0 - q))
        out = further(watch.out, n, bad, gain)
        if back(out):
            return RateWatch(e_detector.restarted(watch.detector)), "cleared"
        if promised is None and now_s - out.since_s >= NEW_NORMAL_S:
            return RateWatch(e_detector.rebaselined(watch.detector)), "cleared"
        return msgspec.structs.replace(watch, out=out), "on"
    detector = e_detector.update(watch.detector, bad, n, rate=promised, limit=limit, idle=idle)
    grown = RateWatch(detector, None, RECENT * watch.n + n, RECENT * watch.bad + bad)
    if not e_detector.alarm(detector, limit):
        return grown, ""
    usual = e_detector.expected_rate(detector.normal) if promised is None else promised
    value = max(grown.bad / grown.n, _at_least(bad / n, n), min(0.999, 1.1 * usual))
    return RateWatch(detector, Excursion(now_s, value, usual, n=grown.n, total=grown.n * value)), "raised"


def spread(reference: Reference, floor: float = 0.0) -> float:
    """Standard deviation of one observation, as far as panes are concerned."""
    return scale(reference, floor) * math.sqrt(reference.dispersion)


def _at_least(rate: float, n: int) -> float:
    """What the newest pane alone proves: its rate less two standard errors."""
    return rate - 2.0 * math.sqrt(rate * (1.0 - rate) / n)


def further(out: Excursion, n: float, total: float, gain: float) -> Excursion:
    """The excursion a pane later. ``gain``: what the pane says for the way back, in nats."""
    recovery = min(_LARGEST, max(0.0, out.recovery + gain))
    clean = out.clean + 1 if recovery > 0.0 else 0
    if recovery >= 1.0:
        return msgspec.structs.replace(out, clean=clean, recovery=recovery)
    lately = (out.recent_n, out.recent_total) if out.recent_n else (out.n, out.total)
    recent_n, recent_total = FADE * lately[0] + n, FADE * lately[1] + total
    return msgspec.structs.replace(
        out, value=recent_total / recent_n, n=out.n + n, total=out.total + total, clean=clean, recovery=recovery,
        recent_n=recent_n, recent_total=recent_total,
    )  # fmt: skip


def back(out: Excursion) -> bool:
    """Whether the excursion is over."""
    return out.clean >= CLEAN_PANES and out.recovery >= SURE


def _found(detector: Cusum, pane: Sums, floor: float, above: float, below: float) -> float:
    """The mean since the change began, from the evidence: up = d (sum z - d n / 2), z counted from what is no move; or
    what the newest pane alone proves, if that is farther away.
    """
    reference, d = detector.normal.reference, cusum.shift(pane.n, detector.normal.reference.n)
    up = detector.up >= detector.down
    nats, count = (detector.up, detector.n_up) if up else (detector.down, detector.n_down)
    shift = (pane.total / pane.n - reference.mean) / spread(reference, floor)
    newest = (shift if up else -shift) - 2.0 / math.sqrt(pane.n)
    sd = spread(reference, floor)
    moved = max(nats / (d * max(1, count)) + 0.5 * d + (above if up else below) / sd, newest)
    return reference.mean + (moved if up else -moved) * sd


def _between(out: Excursion) -> tuple[float, float]:
    """What is usual and what was found, inside (0, 1)."""
    usual = max(1e-6, out.usual)
    return usual, min(1.0 - 1e-6, max(out.surely, 1.05 * usual))
