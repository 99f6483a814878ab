"""Several challengers in one trial slice: who is dropped, and who goes on alone (STATISTICS 4 and 5).

k challengers and the control have equal shares of the same minutes. Each is judged against the control by the rule of
a trial, at a k-th of the error, so harm is found in any of k arms as rarely by chance as in one; "better" is decided on
the always-valid p-values of the reward by Holm's step-down over all k, those already gone included (Holm, 1979; Howard,
Ramdas, McAuliffe, Sekhon, 2021). Looks are free, so losers leave early and their share goes to the rest.

The one chosen goes up the steps of a canary with the evidence it has, still judged at a k-th of the error: however it
was picked among k, all of them together are promoted falsely no more often than one alone.
"""

from collections.abc import Sequence

import msgspec

from app.core.stats import holm
from app.core.stats.reward import Objective
from app.core.stats.within_minute import close
from app.core.trial import Guardrails, Trial
from app.core.verdict import Interval, Verdict, reward_interval, reward_p

WORSE = "it is certainly no better than the control"
SURPASSED = "another arm of the same trial promised more"


class Standing(msgspec.Struct, frozen=True):
    """One challenger: its verdict, its reward against the control, the adjusted p-value of "no different", how many
    answers were judged in its slice.
    """

    trial: Trial
    verdict: Verdict
    reward: Interval | None
    p_value: float
    judged: int

    @property
    def lost(self) -> str:
        """Why it leaves; "" while it stays."""
        if self.verdict.kind == "harm":
            return f"its trial showed harm in {self.verdict.metric}"
        if self.verdict.kind == "timeout":
            return "its trial stayed undecided"
        return WORSE if self.reward is not None and self.reward.high is not None and self.reward.high < 0 else ""


def standings(
    trials: Sequence[Trial],
    verdicts: Sequence[Verdict],
    guardrails: Guardrails,
    objective: Objective,
    *,
    arms: int,
) -> tuple[Standing, ...]:
    """How the challengers that are left stand; ``guardrails`` at the shared error, ``arms``: how many began."""
    raw = [reward_p(trial.evidence, objective, guardrails) for trial in trials]
    adjusted = holm.adjusted([*raw, *[1.0] * (arms - len(raw))])
    return tuple(
        Standing(trial, verdict, reward_interval(trial.evidence, objective, guardrails), p, _judged(trial, guardrails))
        for trial, verdict, p in zip(trials, verdicts, adjusted, strict=False)
    )


def _judged(trial: Trial, guardrails: Guardrails) -> int:
    """Scored answers of the slice that has fewer; requests where scores are not judged."""
    seen = close(trial.evidence.quality if guardrails.quality_points is not None else trial.evidence.errors)
    return min(seen.trial.n, seen.control.n)


def chosen(standing: Sequence[Standing], *, alpha: float, enough: int) -> Standing | None:
    """Who goes on alone: the leader by the reward so far, once it is safe and either proven better at ``alpha`` (of
    all) or ahead after ``enough`` judged answers a slice: the steps ahead prove it, or do not. An arm whose harm looks
    larger than its tolerance does not lead: more answers will hardly make it safe.
    """
    known = [one for one in standing if one.reward is not None]
    hopeful = [one for one in known if not any(map(_beyond, one.verdict.intervals))]
    if not hopeful:
        return None
    leader = max(hopeful, key=_estimate)
    proven = leader.p_value <= alpha and len(known) == len(standing)
    clear = proven or min(one.judged for one in standing) >= enough
    return leader if clear and leader.verdict.kind == "safe" and _estimate(leader) > 0 else None


def _beyond(seen: Interval) -> bool:
    """Whether the harm seen so far, certain or not, is beyond the tolerance."""
    return (-seen.estimate if seen.metric == "quality" else seen.estimate) > seen.tolerance


def _estimate(one: Standing) -> float:
    return one.reward.estimate if one.reward is not None else float("-inf")
