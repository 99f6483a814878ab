"""The A/B rule for k challengers against one control, valid however often one looks.

Each difference of means has a normal-mixture confidence sequence (``stats.confidence``): n pairs (the harmonic mean of
both arms' numbers), V = variance of one pair. A challenger differs when its always-valid p-value, the smallest so far,
falls at level alpha after Holm's correction: at most alpha of experiments without differences ever name one, at any
look, with any k. ``discoveries`` is the e-BH answer instead (false discovery rate). Assignment must be fixed and
random: traffic that a bandit steers never goes in here. Values in [0, 1] (``bounded``) get one observation added at
either end, so that a run of equal values is not taken for certainty.

Where a maximum is planned, ``stats.obrien_fleming`` decides sooner at the same error.

>>> test = update(Experiment(), Sums(4000, 3200, 3200), (Sums(4000, 3400, 3400), Sums(4000, 3210, 3210)))
>>> [c.decided for c in compared(test)], winner(test)
([True, False], 0)
"""

import math

import msgspec

from app.core.stats.confidence import half_width, p_value
from app.core.stats.e_values import e_bh, of_difference
from app.core.stats.holm import adjusted
from app.core.stats.reference import Sums


class Rule(msgspec.Struct, frozen=True, array_like=True):
    """``alpha``: error of all looks and all challengers together; ``n_star``: pairs at which intervals are tightest;
    ``n_min``: observations an arm needs; ``bounded``: values lie in [0, 1].
    """

    alpha: float = 0.05
    n_star: float = 2000.0
    n_min: int = 100
    bounded: bool = True


class Experiment(msgspec.Struct, frozen=True, array_like=True):
    """State: sums of the control and of each challenger, and each challenger's smallest p-value so far.

    ``skipped``: looks with sums that were no numbers.
    """

    control: Sums = Sums()
    challengers: tuple[Sums, ...] = ()
    p_values: tuple[float, ...] = ()
    skipped: int = 0


class Comparison(msgspec.Struct, frozen=True):
    """Challenger minus control: ``estimate`` with bounds that hold for all challengers and looks at once (None while
    nothing is known), adjusted always-valid ``p_value``, ``e_value`` as of now, ``n`` pairs, ``decided``.
    """

    estimate: float
    low: float | None
    high: float | None
    p_value: float
    e_value: float
    n: float
    decided: bool


DEFAULT = Rule()


def update(state: Experiment, control: Sums, challengers: tuple[Sums, ...], rule: Rule = DEFAULT) -> Experiment:
    """Add what came since the last look, in a fixed order of challengers, and look. ``ValueError``: their number
    changed. A look with sums that cannot be is left out whole, and counted.
    """
    known = state.challengers or (Sums(),) * len(challengers)
    if len(known) != len(challengers):
        raise ValueError(f"the experiment has {len(known)} challengers, this look has {len(challengers)}")
    arms = tuple(a + b for a, b in zip(known, challengers, strict=True))
    total = state.control + control
    if not all(arm.sound for arm in (control, *challengers, total, *arms)):
        return msgspec.structs.replace(state, skipped=state.skipped + 1)
    smallest = state.p_values or (1.0,) * len(arms)
    p_values = tuple(min(p, _p_value(total, arm, len(arms), rule)) for p, arm in zip(smallest, arms, strict=True))
    return Experiment(total, arms, p_values, state.skipped)


def alarm(state: Experiment, rule: Rule = DEFAULT) -> bool:
    """Whether any challenger differs from the control."""
    return any(p <= rule.alpha for p in adjusted(state.p_values))


def compared(state: Experiment, rule: Rule = DEFAULT) -> tuple[Comparison, ...]:
    """Every challenger against the control."""
    pairs = zip(state.challengers, adjusted(state.p_values), strict=True)
    return tuple(_comparison(state.control, arm, p, len(state.challengers), rule) for arm, p in pairs)


def winner(state: Experiment, rule: Rule = DEFAULT) -> int | None:
    """Index of the best challenger that is certainly better than the control, or None."""
    better = [(c.estimate, -i) for i, c in enumerate(compared(state, rule)) if c.decided and c.estimate > 0.0]
    return -max(better)[1] if better else None


def discoveries(state: Experiment, rule: Rule = DEFAULT) -> tuple[bool, ...]:
    """Which challengers differ by e-BH: alpha is then the expected share of false ones among them."""
    return e_bh([c.e_value for c in compared(state, rule)], rule.alpha)


def pairs_of(control: Sums, arm: Sums, rule: Rule = DEFAULT) -> tuple[float, float, float]:
    """(difference of means, variance of one pair, pairs); no pairs while an arm is below ``n_min``."""
    if min(control.n, arm.n) < max(2, rule.n_min):
        return 0.0, math.inf, 0.0
    n = 2.0 * control.n * arm.n / (control.n + arm.n)
    parts = ((control, _variance(control, rule)), (arm, _variance(arm, rule)))
    return arm.total / arm.n - control.total / control.n, n * sum(v / s.n for s, v in parts), n


def _p_value(control: Sums, arm: Sums, count: int, rule: Rule) -> float:
    estimate, variance, n = pairs_of(control, arm, rule)
    return p_value(estimate, n, variance, rule.alpha / count, rule.n_star) if n else 1.0


def _comparison(control: Sums, arm: Sums, p: float, count: int, rule: Rule) -> Comparison:
    estimate, variance, n = pairs_of(control, arm, rule)
    width = half_width(n, variance, rule.alpha / count, rule.n_star)
    known = math.isfinite(width)
    return Comparison(
        estimate=estimate,
        low=estimate - width if known else None,
        high=estimate + width if known else None,
        p_value=p,
        e_value=of_difference(estimate, n, variance, rule.alpha / count, rule.n_star),
        n=n,
        decided=p <= rule.alpha,
    )


def _variance(arm: Sums, rule: Rule) -> float:
    mean = arm.total / arm.n
    around = max(0.0, arm.squares - arm.total * mean)
    if rule.bounded:
        return (around + mean * mean + (1.0 - mean) ** 2) / (arm.n + 1)
    return around / (arm.n - 1)
