"""What a routing policy is, and what it may know before the first request."""

from typing import Protocol

import msgspec

from app.core.backtest.table import Floats
from app.core.stats.reward import Objective


class Problem(msgspec.Struct, frozen=True):
    """The task of a policy. Rows are numbered as in the table; ``segment``, ``prompts`` and ``in_tokens`` are by row.

    ``cost_means``: USD of a request by arm, as a price list would say; ``reward_means``: known in hindsight only.
    """

    arms: tuple[str, ...]
    objective: Objective
    segment: tuple[int, ...]
    segments: tuple[str, ...]
    cost_means: tuple[float, ...]
    reward_means: tuple[float, ...]
    prompts: tuple[str, ...] | None = None
    in_tokens: Floats | None = None
    seed: int = 0


class Policy(Protocol):
    """Chooses an arm for each request and learns from what comes back. Mutable; randomness only from the seed."""

    def choose(self, row: int) -> int:
        """The arm for the request of ``row``."""
        ...

    def learn(self, row: int, arm: int, quality: float | None, cost_usd: float, latency_ms: float) -> None:
        """What ``arm`` answered to ``row``; ``quality`` None: it was not scored. May come late."""
        ...
