"""Minute weights of policy ``mix``: each arm's chance of being the best, per segment (STATISTICS 3).

Thompson sampling (Thompson, 1933; Russo et al., A tutorial on Thompson sampling, 2018) done once a minute for a whole
minute: 256 seeded draws of every arm's posterior reward, the share of draws an arm wins is its weight. Segments are
pooled by ``stats.shrinkage``, arms that changed forget their past by ``stats.change``. Rewards are composites of means
(``stats.reward``): cost, latency and scores come in different events and rewards may come late.
"""

import math

import msgspec
import numpy as np

from app.core.cell import Cell
from app.core.ids import stable_id
from app.core.stats.moments import ArmSums, Posterior, posterior, sums_of
from app.core.stats.reward import Objective
from app.core.stats.shrinkage import shrink
from app.core.stats.two_window import Bucket, changed_since, keep_newest, pushed

DRAWS = 256
FORCED_PULLS = 5
CAP = 0.20
"""Largest move of a weight per tick once an arm has held more than half."""
HYSTERESIS = 0.02
FLOOR_TOTAL = 0.02
FLOOR_REQUESTS = 200
SEGMENT_SD = 0.7
EVERYWHERE = "*"


class ArmState(msgspec.Struct, frozen=True, array_like=True):
    """What is known of one arm: sums per segment (same order as ``Mix.segments``) and 24 buckets in time order.

    ``resets``: how often its past was forgotten; ``reset_minute``: when last.
    """

    name: str = ""
    sums: tuple[ArmSums, ...] = ()
    buckets: tuple[Bucket, ...] = ()
    resets: int = 0
    reset_minute: int = -1


class Mix(msgspec.Struct, frozen=True, array_like=True):
    """State of the bandit of one service: arms and segments in fixed order, weights in force, who has held over half.

    ``weights``: one row per segment, one number per arm; ``held``: per segment, whether an arm ever held over 50 %.
    """

    segments: tuple[str, ...] = (EVERYWHERE,)
    arms: tuple[ArmState, ...] = ()
    weights: tuple[tuple[float, ...], ...] = ()
    held: tuple[bool, ...] = ()
