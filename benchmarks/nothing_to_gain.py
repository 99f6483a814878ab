"""Whole services in worlds with nothing to gain: `python -m benchmarks.worlds [--seeds N]`.

With ``--keep FILE`` what was run is kept, a JSON line each, and counted with what a file already has: many seeds in
several short runs (``--first``).

Each seed is a service in mode auto for four hours of 250 requests a minute, its row stepped by the product's brain:
trials, weights, savings. Counted: savings called proven at any minute although nothing was saved, and challengers 5
points worse (and 40 % cheaper, so tempting) that were admitted.
"""

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import msgspec
import numpy as np

from app.core.document import Arm, ServiceDocument, completed
from app.core.savings import estimate
from benchmarks.calibrate.report import upper
from benchmarks.minutes import Answers, Service
from benchmarks.printing import say

MINUTES, RATE, SIGMA = 240, 250, 1.0
STATED = 0.05 * 0.002
"""Error of an admission (alpha times its part, `app.core.trial.Guardrails`)."""


class Case(msgspec.Struct, frozen=True):
    """``cost``: of the challenger over the incumbent's; ``size``: requests a session."""

    policy: str = "single"
    admitted: bool = False
    size: int = 1
    cost: float = 1.0
    quality: float = 0.0


CASES = {
    "an equal challenger": Case(),
    "equal arms share by weights": Case("mix", admitted=True),
    "the same, sticky sessions of 5": Case("mix", admitted=True, size=5),
    "the same, sticky sessions of 20": Case("mix", admitted=True, size=20),
    "a dearer arm by 3 %, admitted": Case("mix", admitted=True, cost=1.03),
}
WORSE = {"5 points worse, 40 % cheaper": Case(cost=0.6, quality=-0.05)}


class End(msgspec.Struct, frozen=True):
    """``proven``: at any minute; ``admitted``: the challenger serves; ``effect``: of sessions at the end."""

    world: str
    seed: int
    proven: bool
    admitted: bool
    effect: float


def lived(name: str, seed: int) -> End:
    """One service's four hours."""
    case = (CASES | WORSE)[name]
    document = completed(
        ServiceDocument(service="s", mode="auto", policy=case.policy, arms=(Arm(name="old"), Arm(name="new")))  # type: ignore[arg-type]
    )
    service, proven, effect = Service(document, seed), False, 1.0
    if case.admitted:
        service.row = msgspec.structs.replace(service.row, admitted=("new", "old"))
    for _ in range(MINUTES):
        tokens, session, group, answers = _minute(case, service.rng)
        service.pass_minute(answers, tokens, session=session, group=group)
        savings = service.row.savings
        found = estimate(savings, baseline="old", holdout=document.holdout_share, sticky=True)
        proven, effect = proven or found.proven, found.session_effect or effect
    moved = service.row.incumbent == "new" if case.policy == "single" else False
    return End(name, seed, proven, moved, effect)


def _minute(
    case: Case, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None, dict[str, Answers]]:
    """Sessions share their prompt's length and half the variance of cost and of the score."""
    sessions = rng.poisson(RATE / case.size)
    n, size = sessions * case.size, case.size

    def mixed() -> np.ndarray:
        shared, own = rng.normal(size=sessions).repeat(size), rng.normal(size=n)
        return np.asarray(np.sqrt(0.5) * (shared + own))

    tokens = np.exp(6 + 0.7 * mixed()).round() + 1
    noise, luck = np.exp(SIGMA * mixed() - SIGMA**2 / 2), mixed()
    answers = {
        arm: Answers(
            np.clip(0.85 + worse + 0.11 * luck, 0, 1),
            4e-6 * tokens * cost * noise,
            np.exp(6.7 + 0.5 * rng.normal(size=n)),
        )
        for arm, cost, worse in (("old", 1.0, 0.0), ("new", case.cost, case.quality))
    }
    if case.size == 1:
        return tokens, None, None, answers
    return tokens, np.arange(sessions).repeat(size), rng.integers(64, size=sessions).repeat(size), answers


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="worlds", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="of each of five worlds with nothing to gain")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--keep", type=Path, default=None, help="a file of what was run, added to")
    given, start = parser.parse_args(words), time.monotonic()
    kept = _kept(given.keep)
    known = {(end.world, end.seed) for end in kept}
    wanted = range(given.first, given.first + given.seeds)
    with ProcessPoolExecutor(2) as pool:
        for name in CASES | WORSE:
            seeds = [seed for seed in wanted if (name, seed) not in known]
            ends = list(pool.map(lived, [name] * len(seeds), seeds, chunksize=5))
            kept += ends
            _keep(given.keep, ends)
    _report(kept)
    say(f"a worse arm may be admitted in {100 * STATED:.2f} % of the trials; {time.monotonic() - start:.0f} s")
    return 0


def _report(ends: list[End]) -> None:
    say(f"{'world':34} seeds   saving falsely proven   admitted   session effect")
    for name in CASES | WORSE:
        these = [end for end in ends if end.world == name]
        if not these:
            continue
        proven, admitted = sum(end.proven for end in these), sum(end.admitted for end in these)
        of_world = f"{100 * proven / len(these):20.1f} %" if name in CASES else " " * 22
        say(
            f"{name:34} {len(these):5} {of_world} {100 * admitted / len(these):8.1f} %"
            f" {np.mean([end.effect for end in these]):14.1f}"
        )
    without = [end for end in ends if end.world in CASES]
    wrong = sum(end.proven for end in without)
    share, most = 100 * wrong / len(without), 100 * upper(wrong, len(without))
    say(f"falsely proven {wrong} of {len(without)} = {share:.2f} % (95 % bound {most:.2f} %; goal <= 3 %)")


def _kept(path: Path | None) -> list[End]:
    if path is None or not path.exists():
        return []
    return [msgspec.json.decode(line, type=End) for line in path.read_bytes().splitlines() if line.strip()]


def _keep(path: Path | None, ends: list[End]) -> None:
    if path is not None:
        with path.open("ab") as file:
            file.writelines(msgspec.json.encode(end) + b"\n" for end in ends)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
