"""Calibration of trials (STATISTICS 5): `python -m benchmarks.trials [replicates]` reprints the table."""

import sys
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from app.core.trial import Guardrails
from benchmarks.printing import say
from benchmarks.worlds import Rollout, World, roll_out

SITUATIONS = {
    "good, Bernoulli .90": World(),
    "good, Beta sd .11": World(quality_sd=0.11, quality=0.85),
    "good, latency sigma 1.0": World(latency_sigma=1.0),
    "good, cost sigma 1.0": World(cost_sigma=1.0),
    "good, daily trend 5 points": World(trend_points=0.05),
    "good, trend and moving mix": World(trend_points=0.05, wobble_points=0.03),
    "good, scores 10 %": World(score_rate=0.1),
    "good, 5 requests a session": World(session_size=5),
    "good, 20 requests a session": World(session_size=20),
    "-4.5 points": World(quality_change=-0.045),
    "-4.5 points, trend and mix": World(quality_change=-0.045, trend_points=0.05, wobble_points=0.03),
    "-10 points": World(quality_change=-0.10),
    "-4.5 points, Beta": World(quality_change=-0.045, quality_sd=0.11, quality=0.85),
    "+20 % latency": World(latency_change=0.2),
    "+5 points errors": World(error_change=0.05),
    "-4.5 points, 5 a session": World(quality_change=-0.045, session_size=5),
    "-4.5 points, 20 a session": World(quality_change=-0.045, session_size=20),
}


MINUTES = {1: 1_500, 5: 3_000, 20: 5_000}
"""Longest trial by requests a session: what sessions share is told once, so the same certainty takes longer."""


def one(arguments: tuple[str, int]) -> Rollout:
    name, seed = arguments
    return roll_out(SITUATIONS[name], Guardrails(), seed, MINUTES[SITUATIONS[name].session_size])


def main() -> None:
    replicates = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    wanted = sys.argv[2:] or list(SITUATIONS)
    say(
        f"{replicates} replicates, seeds 0.., 100 requests/min, at most 1,500 minutes (3,000 and 5,000 at 5 and 20 a session)"
    )
    say(f"{'situation':30} rolled back  accepted   open  canary(median)  first promotion  by metric")
    with ProcessPoolExecutor(2) as pool:
        for name in wanted:
            start = time.perf_counter()
            ends = list(pool.map(one, [(name, seed) for seed in range(replicates)], chunksize=10))
            part = {kind: sum(r.end == kind for r in ends) / replicates for kind in ("harm", "accepted", "open")}
            promoted = [r.first_promotion for r in ends if r.first_promotion]
            by = {
                m: sum(r.metric == m and r.end != "accepted" for r in ends)
                for m in {r.metric for r in ends if r.metric}
            }
            say(
                f"{name:30} {part['harm']:10.2%} {part['accepted']:10.2%} {part['open']:7.2%}"
                f" {np.median([r.canary_requests for r in ends]):10.0f}"
                f" {np.median(promoted) if promoted else 0:14.0f}     {by}  {time.perf_counter() - start:.0f}s"
            )


if __name__ == "__main__":
    main()
