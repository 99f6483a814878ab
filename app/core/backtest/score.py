"""What a policy earned, beside the best fixed arm and random routing.

    regret = 1 - reward / reward of the best fixed arm
    normalised regret = (best fixed - policy) / (best fixed - random)          below 0: better than any fixed arm

When an arm degrades on the way, the best fixed arm is that of the time: dynamic regret.
"""

import msgspec
import numpy as np

from app.core.backtest.ope import Estimates, constant, estimates
from app.core.backtest.play import Degrade, Played
from app.core.backtest.table import Floats, Table, rewards
from app.core.stats.reward import Objective


class BestFixed(msgspec.Struct, frozen=True):
    arm: str
    reward_mean: float


class Score(msgspec.Struct, frozen=True):
    """``regret`` and ``normalised_regret`` are fractions; ``pulls`` by arm; ``cost_usd`` in all."""

    policy: str
    requests: int
    arms: tuple[str, ...]
    reward_mean: float
    regret: float
    normalised_regret: float
    best_fixed: BestFixed
    random_reward_mean: float
    pulls: dict[str, int]
    cost_usd: float
    quality_mean: float


def scored(name: str, table: Table, objective: Objective, played: Played, degrade: Degrade | None) -> Score:
    """The result of ``played`` on a table where every arm answered every request."""
    reward = rewards(table, objective)
    lost = _lost(table, played, degrade)
    at = played.rows, played.arms
    mine = lost[np.arange(len(lost)), played.arms]
    got = float((reward[at] - objective.quality * mine).mean())
    best, offered = _fixed(table, reward[played.rows] - objective.quality * lost, degrade)
    return Score(
        policy=name,
        requests=len(played.rows),
        arms=table.arms,
        reward_mean=got,
        regret=relative(got, best.reward_mean),
        normalised_regret=normalised(got, best.reward_mean, offered),
        best_fixed=best,
        random_reward_mean=offered,
        pulls=_pulls(table, played),
        cost_usd=float(table.cost[at].sum()),
        quality_mean=float((table.quality[at] - mine).mean()),
    )


class LogScore(Score, frozen=True):
    """Of a log, nothing is known but by estimate: the fields of ``Score`` hold doubly robust ones.

    ``matched``: requests whose chosen arm was the one called, so that the policy learned; ``reward`` by three roads.
    """

    matched: int
    reward: Estimates
    logged: bool = True


def estimated(name: str, table: Table, objective: Objective, played: Played) -> LogScore:
    """The result of ``played``, one pass over a log."""
    reward = rewards(table, objective)
    mine = estimates(table, reward, played)
    arms = [one.doubly_robust.value for one in constant(table, reward, played.rows)]
    best, offered = BestFixed(table.arms[int(np.argmax(arms))], max(arms)), float(np.mean(arms))
    got = mine.doubly_robust.value
    return LogScore(
        policy=name,
        requests=len(played.rows),
        arms=table.arms,
        reward_mean=got,
        regret=relative(got, best.reward_mean),
        normalised_regret=normalised(got, best.reward_mean, offered),
        best_fixed=best,
        random_reward_mean=offered,
        pulls=_pulls(table, played),
        cost_usd=estimates(table, table.cost, played).doubly_robust.value * len(played.rows),
        quality_mean=estimates(table, table.quality, played).doubly_robust.value,
        matched=mine.replay.n,
        reward=mine,
    )


def gaps(table: Table, objective: Objective, played: Played, degrade: Degrade | None) -> Floats:
    """By request of play: reward of the best fixed arm of the time less that of the chosen arm, on the same row."""
    offered = rewards(table, objective)[played.rows] - objective.quality * _lost(table, played, degrade)
    start = degrade.start if degrade is not None else 0
    parts = [(part, slice_) for slice_ in (slice(0, start), slice(start, None)) if len(part := offered[slice_])]
    return np.concatenate([
        part[:, part.mean(axis=0).argmax()] - part[np.arange(len(part)), played.arms[slice_]] for part, slice_ in parts
    ])  # fmt: skip


def relative(got: float, best: float) -> float:
    """Share of the best fixed arm's reward that is lost."""
    return (best - got) / best if abs(best - got) > 1e-12 else 0.0


def normalised(got: float, best: float, offered: float) -> float:
    """0: as good as the best fixed arm; 1: as random. 0 when all arms are alike."""
    return (best - got) / (best - offered) if best - offered > 1e-12 and abs(best - got) > 1e-12 else 0.0


def _pulls(table: Table, played: Played) -> dict[str, int]:
    return dict(zip(table.arms, np.bincount(played.arms, minlength=len(table.arms)).tolist(), strict=True))


def _lost(table: Table, played: Played, degrade: Degrade | None) -> Floats:
    """Quality lost by request of play and arm."""
    lost = np.zeros((len(played.rows), len(table.arms)))
    if degrade is not None:
        after = played.rows[degrade.start :]
        lost[degrade.start :, degrade.arm] = (1.0 - degrade.factor) * table.quality[after, degrade.arm]
    return lost


def _fixed(table: Table, offered: Floats, degrade: Degrade | None) -> tuple[BestFixed, float]:
    """The best fixed arm of the time (its name: that of the last stretch) and the mean of random routing."""
    start = degrade.start if degrade is not None else 0
    stretches = [part for part in (offered[:start], offered[start:]) if len(part)]
    best = sum(float(part.mean(axis=0).max()) * len(part) for part in stretches) / len(offered)
    arm = table.arms[int(stretches[-1].mean(axis=0).argmax())]
    return BestFixed(arm, best), float(offered.mean())
