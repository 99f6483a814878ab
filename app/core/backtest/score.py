"""What a policy earned on a full table, beside the best fixed arm and random routing.

    regret = 1 - reward / reward of the best fixed arm
    normalised regret = (best fixed - policy) / (best fixed - random)          below 0: better than any fixed arm

When an arm degrades on the way, the best fixed arm is that of the time: dynamic regret.
"""

import msgspec
import numpy as np

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
    pulls = np.bincount(played.arms, minlength=len(table.arms)).tolist()
    return Score(
        policy=name,
        requests=len(played.rows),
        arms=table.arms,
        reward_mean=got,
        regret=1.0 - got / best.reward_mean if best.reward_mean else 0.0,
        normalised_regret=normalised(got, best.reward_mean, offered),
        best_fixed=best,
        random_reward_mean=offered,
        pulls=dict(zip(table.arms, pulls, strict=True)),
        cost_usd=float(table.cost[at].sum()),
        quality_mean=float((table.quality[at] - mine).mean()),
    )


def normalised(got: float, best: float, offered: float) -> float:
    """0: as good as the best fixed arm; 1: as random. 0 when all arms are alike."""
    return (best - got) / (best - offered) if best - offered > 1e-12 else 0.0


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
