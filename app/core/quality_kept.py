"""Is the quality still what it was? The router's scores against those of the frozen baseline (STATISTICS 6).

The estimator is that of ``savings``, on scores: with m_k the mean score of arm k in earlier minutes and pi_A the chance
that a request gets arm A *and* is scored, a request contributes

    Z = sum_k c_k m_k + [scored] c_A (Q - m_A) / pi_A            (c: baseline minus router, so quality change = -mean Z)

Scores come in events of their own, later: both parts are added when they arrive, each under the version it names. The
scoring probability is taken as one for the holdout and one for the rest, as seen so far; an error in it multiplies
residuals whose mean is 0. Only sampled scores carry a claim: those of the document's score channel. Scores in [0, 1].
"""

import math

import msgspec

from app.core.propensity import Shares
from app.core.stats.clustered import FEWEST, Grouped
from app.core.stats.confidence import half_width

MARGIN = 0.02
"""Non-inferior: less than two points below the baseline."""
ALPHA = 0.025
"""Half of what a sentence may err that claims the saving and the quality."""
BURN_IN = 100
"""Scored holdout answers before anything is claimed; counted as independent ones."""
FIT_MIN = 20
N_STAR = 1000.0


class Scores(msgspec.Struct, frozen=True, array_like=True):
    """Number, sum and sum of squares of scores."""

    n: float = 0.0
    total: float = 0.0
    squares: float = 0.0

    def __add__(self, other: "Scores") -> "Scores":
        return Scores(self.n + other.n, self.total + other.total, self.squares + other.squares)

    @property
    def variance(self) -> float:
        """Around their mean."""
        return max(0.0, self.squares - self.total * self.total / self.n) / self.n if self.n else 0.0


class Judged(msgspec.Struct, frozen=True):
    """One (version, segment, arm, in the holdout or not) of a minute: requests, scores, and per session group (group,
    number, sum) of the scores.
    """

    shares: Shares
    segment: str
    arm: str
    held: bool
    requests: float
    scores: Scores
    groups: tuple[tuple[int, float, float], ...] = ()


class QualityKept(msgspec.Struct, frozen=True, array_like=True):
    """State: scores by arm, requests and scores outside and inside the holdout, sums of Z, residuals by session group.

    ``residuals``: sum of squared residual terms; ``grouped``: that of those with a session group. ``guard``: sum of
    c_b^2 / pi_b over requests.
    """

    arms: dict[str, Scores] = {}
    n: float = 0.0
    held: float = 0.0
    scored: float = 0.0
    held_scored: float = 0.0
    z: float = 0.0
    zz: float = 0.0
    guard: float = 0.0
    residuals: float = 0.0
    grouped: float = 0.0
    groups: Grouped = Grouped()


class Kept(msgspec.Struct, frozen=True):
    """Router minus baseline on the 0-1 scale, always-valid interval at ``ALPHA``; ``non_inferior`` when all of it is
    above -``MARGIN``; ``why_not`` says what the claim lacks.
    """

    scores: int
    holdout_scores: int
    change: float
    low: float | None
    high: float | None
    non_inferior: bool
    why_not: str


def add_minute(state: QualityKept, judged: list[Judged]) -> QualityKept:
    """Add a closed minute; means and scoring rates are those of the minutes before (of this one at the start)."""
    counts = _counts(state, judged)
    rates = (
        _rate(state if state.scored else counts, held=False),
        _rate(state if state.held_scored else counts, held=True),
    )
    levels = _levels(state)
    z, zz, guard, residuals, grouped = state.z, state.zz, state.guard, state.residuals, state.grouped
    in_groups, sums, arms = dict[int, float](), dict[int, float](), dict(state.arms)
    policies: dict[tuple[int, str], _Policy] = {}
    for one in judged:
        at = (id(one.shares), one.segment)  # the shares of a version are one object, alive as long as ``judged``
        policy = policies.get(at) or policies.setdefault(at, _policy(one, levels, rates))
        contrast, level = policy.contrast, policy.level
        z, zz = z + level * one.requests, zz + level * level * one.requests
        pi = _scored_probability(one, one.arm, rates)
        guard += one.requests * policy.exposure
        if pi <= 0 or not one.scores.n:
            continue
        g, mean = contrast.get(one.arm, 0.0) / pi, levels.get(one.arm, levels[""])
        residual = g * (one.scores.total - mean * one.scores.n)
        square = g * g * max(0.0, one.scores.squares - 2 * mean * one.scores.total + mean * mean * one.scores.n)
        z, zz, residuals = z + residual, zz + 2 * level * residual + square, residuals + square
        inside = sum(n for _, n, _ in one.groups)
        grouped += square * min(1.0, inside / one.scores.n)
        for group, n, total in one.groups:
            in_groups[group] = in_groups.get(group, 0.0) + n
            sums[group] = sums.get(group, 0.0) + g * (total - mean * n)
        arms[one.arm] = arms.get(one.arm, Scores()) + one.scores
    return msgspec.structs.replace(
        counts, arms=arms, z=z, zz=zz, guard=guard, residuals=residuals, grouped=grouped,
        groups=state.groups.added(in_groups, sums),
    )  # fmt: skip


def kept(state: QualityKept, *, baseline: str, holdout: float, sessions: bool) -> Kept:
    """What can be said so far. ``sessions``: some requests belong to sticky sessions, so scores move together."""
    if state.n < 2 or holdout <= 0 or not state.scored:
        why = "no holdout: holdout_share is 0" if holdout <= 0 else "no scored requests yet"
        return Kept(int(state.scored), int(state.held_scored), 0.0, None, None, non_inferior=False, why_not=why)
    mean = state.z / state.n
    effect = _effect(state) if sessions else 1.0
    variance = max(0.0, state.zz / state.n - mean * mean) + _tail_guard(state, baseline)
    width = half_width(state.n / effect, variance, ALPHA, N_STAR / holdout)
    enough = state.held_scored >= BURN_IN * effect
    why_not = _why_not(state, effect) if not enough else "" if mean + width < MARGIN else "the interval is too wide yet"
    known = math.isfinite(width)
    return Kept(
        scores=int(state.scored),
        holdout_scores=int(state.held_scored),
        change=-mean,
        low=-mean - width if known else None,
        high=-mean + width if known else None,
        non_inferior=not why_not,
        why_not=why_not,
    )


def _counts(state: QualityKept, judged: list[Judged]) -> QualityKept:
    return msgspec.structs.replace(
        state,
        n=state.n + sum(one.requests for one in judged),
        held=state.held + sum(one.requests for one in judged if one.held),
        scored=state.scored + sum(one.scores.n for one in judged),
        held_scored=state.held_scored + sum(one.scores.n for one in judged if one.held),
    )


def _rate(state: QualityKept, *, held: bool) -> float:
    answers, scores = (
        (state.held, state.held_scored) if held else (state.n - state.held, state.scored - state.held_scored)
    )
    return min(1.0, scores / answers) if answers > 0 else 0.0


def _scored_probability(one: Judged, arm: str, rates: tuple[float, float]) -> float:
    outside, held = rates
    h, w = one.shares.holdout, one.shares.weights(one.segment).get(arm, 0.0)
    return (1 - h) * w * outside + (h * held if arm == one.shares.baseline else 0.0)


class _Policy(msgspec.Struct, frozen=True):
    """What one version does in one segment: c_k, sum_k c_k m_k, and c_b^2 / pi_b (0: the baseline is not scored)."""

    contrast: dict[str, float]
    level: float
    exposure: float


def _policy(one: Judged, levels: dict[str, float], rates: tuple[float, float]) -> _Policy:
    base = one.shares.baseline
    contrast = {arm: -w for arm, w in one.shares.weights(one.segment).items()}
    contrast[base] = contrast.get(base, 0.0) + 1.0
    level = sum(c * levels.get(arm, levels[""]) for arm, c in sorted(contrast.items()))
    scored = _scored_probability(one, base, rates)
    return _Policy(contrast, level, contrast[base] ** 2 / scored if scored > 0 else 0.0)


def _levels(state: QualityKept) -> dict[str, float]:
    """Mean score by arm with ``FIT_MIN`` of them; of all together under ""."""
    total = Scores()
    for arm in sorted(state.arms):
        total += state.arms[arm]
    known = {arm: s.total / s.n for arm, s in state.arms.items() if s.n >= FIT_MIN}
    return {"": total.total / total.n if total.n else 0.5, **known}


def _effect(state: QualityKept) -> float:
    """Scores that tell as much as one independent one: squared sums of residuals by group over their squares."""
    groups = [z for n, z in zip(state.groups.n, state.groups.z, strict=True) if n]
    if len(groups) < FEWEST or state.grouped <= 0 or state.grouped < 0.9 * state.residuals:
        return math.inf
    mean = sum(groups) / len(groups)
    between = sum((z - mean) ** 2 for z in groups) * len(groups) / (len(groups) - 1)
    return max(1.0, between / state.grouped)


def _why_not(state: QualityKept, effect: float) -> str:
    if not math.isfinite(effect):
        return f"scores of a session are not independent, and too few come with one of {FEWEST} session groups"
    return f"{int(state.held_scored / effect)} of {BURN_IN} scored holdout answers"


def _tail_guard(state: QualityKept, baseline: str) -> float:
    """The baseline's few scores vary at least like the others', and may hold one more at either end of the scale."""
    base, others = state.arms.get(baseline, Scores()), Scores()
    for arm in sorted(state.arms):
        others += state.arms[arm] if arm != baseline else Scores()
    if not base.n:
        return 0.0
    mean = base.total / base.n
    ends = (mean * mean + (1.0 - mean) ** 2) / base.n
    return (max(0.0, others.variance - base.variance) + ends) * state.guard / state.n
