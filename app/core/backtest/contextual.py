"""Policy ``contextual``: linear Thompson sampling on what a prompt looks like (Agrawal and Goyal, 2013).

Each arm's reward is linear in the features around a fit that all arms share (how hard a prompt is for anybody), and
rewards are centred on their running mean: a prior of zero would lock on an arm. How strongly each group of features is
shrunk is learned with it (MacKay, 1992: evidence), so that features which say nothing cost little.
"""

import numpy as np

from app.core.backtest.exploring import forced
from app.core.backtest.features import features
from app.core.backtest.policy import Problem
from app.core.backtest.table import Floats
from app.core.stats.reward import composite
from app.core.weights import SETTLED, YOUNG

FRESH = 0.05
FRESH_LEAST = 40
START_SD = 0.1
"""Effects of a group of features before anything is known, in units of reward."""
SD_RANGE = (0.003, 1.0)


class Contextual:
    """Sufficient sums by arm; a fresh posterior after every ``FRESH`` of growth in what is known."""

    def __init__(self, problem: Problem) -> None:
        self._objective = problem.objective
        self._features, self._groups = features(problem)
        arms, size = len(problem.arms), self._features.shape[1]
        self._rng = np.random.default_rng(problem.seed)
        self._forced = forced(problem, self._rng)
        self._xx, self._xy = np.zeros((arms, size, size)), np.zeros((arms, size))
        self._y = np.zeros((arms, 3))
        self._rows: list[list[int]] = [[] for _ in range(arms)]
        self._rewards: list[list[float]] = [[] for _ in range(arms)]
        self._own_sd = np.full((len(self._groups)), START_SD)
        self._common_sd = np.full((len(self._groups)), START_SD)
        self._weights, self._roots = np.zeros((arms, size)), np.zeros((size, arms * size))
        self._seen, self._due = 0, FRESH_LEAST

    def choose(self, row: int) -> int:
        if self._forced:
            return self._forced.pop()
        x = self._features[row]
        across = (x @ self._roots).reshape(self._weights.shape)
        spread = np.sqrt(np.einsum("ad,ad->a", across, across))
        return int((self._weights @ x + spread * self._rng.standard_normal(len(spread))).argmax())

    def learn(self, row: int, arm: int, quality: float | None, cost_usd: float, latency_ms: float) -> None:
        if quality is None:
            return
        self._rows[arm].append(row)
        self._rewards[arm].append(composite(self._objective, quality, cost_usd, latency_ms))
        self._seen += 1
        if self._seen >= self._due and not self._forced:
            self._gather()
            self._refresh()
            self._due = self._seen + max(FRESH_LEAST, int(FRESH * self._seen))

    def _gather(self) -> None:
        for arm, rows in enumerate(self._rows):
            x, y = self._features[rows], np.array(self._rewards[arm])
            self._xx[arm] += x.T @ x
            self._xy[arm] += x.T @ y
            self._y[arm] += (len(y), y.sum(), (y * y).sum())
        self._rows = [[] for _ in self._rows]
        self._rewards = [[] for _ in self._rows]

    def _refresh(self) -> None:
        n, total, squares = self._y.sum(axis=0)
        mean = total / n
        noise = max(1e-9, squares / n - mean * mean)
        level = (self._y[:, 1] + mean) / (self._y[:, 0] + 1.0)
        ones = self._xx[:, :, 0]
        common_xy = (self._xy - level[:, None] * ones).sum(axis=0)
        common, _, self._common_sd = self._fitted(self._xx.sum(axis=0), common_xy, noise, self._common_sd)
        sds, roots = [], []
        for arm, xx in enumerate(self._xx):
            left = self._xy[arm] - mean * ones[arm] - xx @ common
            weights, covariance, sd = self._fitted(xx, left, noise, self._own_sd)
            self._weights[arm] = weights
            roots.append(np.linalg.cholesky(covariance))
            sds.append(sd)
        width = np.sqrt(SETTLED + YOUNG / np.maximum(1.0, self._y[:, 0]))
        self._roots = np.hstack([factor * root for factor, root in zip(width, roots, strict=True)])
        self._own_sd = np.sqrt(np.mean(np.square(sds), axis=0))

    def _fitted(self, xx: Floats, xy: Floats, noise: float, sd: Floats) -> tuple[Floats, Floats, Floats]:
        """Weights, their covariance, and by group the sd of effects that the evidence asks for next."""
        precision = np.concatenate([
            np.full(group.stop - group.start, 1.0 / (s * s)) for group, s in zip(self._groups, sd, strict=True)
        ])  # fmt: skip
        covariance = np.linalg.inv(xx / noise + np.diag(precision))
        covariance = 0.5 * (covariance + covariance.T)
        weights = covariance @ xy / noise
        spread = np.square(weights) + np.diag(covariance)
        wanted = np.array([np.sqrt(spread[group].mean()) for group in self._groups])
        wanted[0] = max(wanted[0], START_SD)
        return weights, covariance, np.clip(wanted, *SD_RANGE)
