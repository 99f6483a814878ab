"""How a change is rolled out: the steps of a trial and what each one needs (DESIGN 7, STATISTICS 5)."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Percent = Annotated[int, Meta(ge=1, le=100)]
Minutes = Annotated[int, Meta(ge=0, le=525_600)]


class TrialPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Steps and deadlines of a trial, in percent of the traffic outside the holdout and in event-time minutes."""

    mode: Annotated[
        Literal["canary", "blue-green", "immediate", "shadow"],
        Meta(
            description="How a change reaches the traffic. `canary`: step by step. `blue-green`: the first step until "
            "it is admitted, then all at once with the old arm kept ready. `immediate`: all at once, then judged. "
            "`shadow`: first on copies whose answers nobody gets, then as a canary; the gateway must mirror traffic."
        ),
    ] = "canary"
    bake_minutes: Annotated[
        Minutes,
        Meta(description="Modes blue-green and immediate: how long the old arm keeps 10 % after the switch, at least."),
    ] = 60
    shadow_percent: Annotated[
        int, Meta(ge=1, le=90, description="Mode shadow: share of the requests that are copied to the challenger.")
    ] = 5
    contest_percent: Annotated[
        int,
        Meta(
            ge=1,
            le=90,
            description="Share of the traffic that the challengers of an experiment and the control divide equally.",
        ),
    ] = 10
    contest_scored: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="Scored answers of each after which the leader goes on alone, safe but not proven better yet.",
        ),
    ] = 500
    steps: Annotated[
        tuple[Percent, ...],
        Meta(
            min_length=1,
            max_length=12,
            description="Challenger's shares, rising to 100; 90 is the last that leaves a control.",
        ),
    ] = (5, 25, 50, 90, 100)
    step_minutes_min: Annotated[
        Minutes, Meta(description="Shortest stay on a step: a step is seen by a few judged minutes.")
    ] = 5
    scored_min: Annotated[
        int,
        Meta(ge=1, le=1_000_000, description="Scored answers each of trial and control need before a step is left."),
    ] = 100
    trial_minutes_max: Annotated[
        Minutes, Meta(description="An undecided trial ends after this long and returns to the incumbent (7 days).")
    ] = 10_080
    approval_minutes: Annotated[
        Minutes, Meta(description="How long a proposal waits for a person before it is refused (1 day).")
    ] = 1_440
    cooldown_minutes: Annotated[
        Minutes, Meta(description="Pause after a trial before the next begins, so effects are not mixed up.")
    ] = 15
