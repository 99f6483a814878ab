"""What a policy has seen of its arms: component sums and, from them, the posterior of each arm's mean reward.

Mutable, one call per answer. Mean reward = composite of component means around the running mean of all arms (worth one
answer); its variance is the sum of the components' (cost and score may come in different events). An arm that changed
by the two-window test of production forgets what was before.
"""

import math

from app.core.stats.moments import PRIOR_DF, PRIOR_N, ArmSums, add
from app.core.stats.reward import Objective
from app.core.stats.two_window import BUCKET_N, Bucket, bucket_of, changed_since, keep_newest, pushed

_EMPTY = [0.0] * 8


class Evidence:
    """``mean``, ``variance`` (of that mean) and ``n`` (answers) by arm. Sums by arm: scores, quality, its squares,
    answers, cost, its squares, latency, its squares.
    """

    def __init__(self, objective: Objective, arms: int, *, resets: bool = True) -> None:
        self.mean = [0.5] * arms
        self.variance = [1.0] * arms
        self.n = [0] * arms
        self._objective = objective
        self._weights = (objective.quality, objective.cost / objective.cost_max_usd)
        self._per_ms = objective.latency / objective.latency_max_ms
        self._base = objective.cost + objective.latency
        self._all = _EMPTY.copy()
        self._sums = [_EMPTY.copy() for _ in range(arms)]
        self._past = [_Past() for _ in range(arms)] if resets else []

    def add(self, arm: int, quality: float | None, cost: float, latency: float) -> None:
        """One answer; ``quality`` None: not scored."""
        for sums in (self._sums[arm], self._all):
            if quality is not None:
                sums[0] += 1.0
                sums[1] += quality
                sums[2] += quality * quality
            sums[3] += 1.0
            sums[4] += cost
            sums[5] += cost * cost
            sums[6] += latency
            sums[7] += latency * latency
        self.n[arm] += 1
        if self._past and self._past[arm].seen(quality, cost, latency):
            self._forget(arm)
        self._judge(arm)

    def _judge(self, arm: int) -> None:
        (of_quality, of_cost), of_latency = self._weights, self._per_ms
        k, q, qq, n, c, cc, m, mm = self._sums[arm]
        all_k, all_q, all_qq, all_n, all_c, all_cc, all_m, all_mm = self._all
        quality, quality_error = _component(k, q, qq, all_k, all_q, all_qq) if all_k else (0.5, 1.0)
        cost, cost_error = _component(n, c, cc, all_n, all_c, all_cc)
        mean = of_quality * quality - of_cost * cost
        variance = of_quality * of_quality * quality_error + of_cost * of_cost * cost_error
        if of_latency:
            latency, latency_error = _component(n, m, mm, all_n, all_m, all_mm)
            mean -= of_latency * latency
            variance += of_latency * of_latency * latency_error
        self.mean[arm] = mean + self._base
        self.variance[arm] = variance

    def _forget(self, arm: int) -> None:
        kept = self._past[arm].changed(self._objective)
        if kept is None:
            return
        squares = kept.cost_sq, kept.latency_ms * kept.latency_ms / max(1.0, kept.n)
        spread = self._sums[arm][7] - self._sums[arm][6] ** 2 / max(1.0, self._sums[arm][3])
        latency_sq = squares[1] + spread * kept.n / max(1.0, self._sums[arm][3])
        self._sums[arm] = [
            kept.scores, kept.quality, kept.quality_sq, kept.n, kept.cost_usd, squares[0], kept.latency_ms, latency_sq,
        ]  # fmt: skip


class _Past:
    """An arm's answers in buckets, for the two-window test."""

    def __init__(self) -> None:
        self._buckets: tuple[Bucket, ...] = ()
        self._known = ArmSums()
        self._open: list[tuple[float | None, float, float]] = []

    def seen(self, quality: float | None, cost: float, latency: float) -> bool:
        """Whether a bucket is full, so that a test is due."""
        self._open.append((quality, cost, latency))
        return len(self._open) >= BUCKET_N

    def changed(self, objective: Objective) -> ArmSums | None:
        """The sums to go on with after a change; None while there was none."""
        new = _sums_of(self._open)
        self._open = []
        self._known = add(self._known, new)
        self._buckets = pushed(self._buckets, bucket_of(0, (new,)))
        at = changed_since(self._buckets, (self._known,), objective)
        if at is None:
            return None
        self._buckets = self._buckets[at:]
        self._known = keep_newest(self._buckets, (self._known,))[0]
        return self._known


def _sums_of(answers: list[tuple[float | None, float, float]]) -> ArmSums:
    scored = [quality for quality, _, _ in answers if quality is not None]
    logs = [math.log(max(latency, 1e-6)) for _, _, latency in answers]
    n = float(len(answers))
    return ArmSums(
        n=n,
        latency_ms=sum(latency for _, _, latency in answers),
        log_latency=sum(logs),
        log_latency_sq=sum(log * log for log in logs),
        cost_n=n,
        cost_usd=sum(cost for _, cost, _ in answers),
        cost_sq=sum(cost * cost for _, cost, _ in answers),
        scores=float(len(scored)),
        quality=sum(scored),
        quality_sq=sum(score * score for score in scored),
    )


def _component(
    n: float, total: float, squares: float, all_n: float, all_total: float, all_squares: float
) -> tuple[float, float]:
    """Mean around the mean of all, and the variance of that mean; the variance borrows ``PRIOR_DF`` from all."""
    prior = all_total / all_n
    spread = max(0.0, all_squares / all_n - prior * prior)
    own = max(0.0, squares - total * total / n) if n else 0.0
    variance = (own + PRIOR_DF * spread) / (max(0.0, n - 1.0) + PRIOR_DF)
    return (total + PRIOR_N * prior) / (n + PRIOR_N), variance / (n + PRIOR_N)
