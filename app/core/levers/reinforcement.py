"""Strategy ``reinforcement_feedback``: the arms of which too little is known, so that the bandit can learn them.

Weights per minute (``app.core.mixing``) learn among admitted arms; this lever says which arm is admitted next. The gain
is optimistic: what is known, plus what the unknown part of the reward could still give, shrinking as 1 / sqrt(n)
(Auer, Cesa-Bianchi, Fischer, Machine Learning 2002). How signals become rewards: docs/strategies.md.
"""

import math

import msgspec

from app.core.levers.cost_performance import cost_performance
from app.core.levers.lever import Ideas, View
from app.core.profile import Profile

WIDTH = 0.1
"""Reward an unknown arm may be better by, at one score."""


def reinforcement_feedback(view: View) -> Ideas:
    """Declared arms, the most promising under optimism first."""
    worth, others = cost_performance(view)
    found = []
    for candidate in worth:
        seen = view.profiles.get(candidate.arm, Profile()).scores
        bonus = WIDTH / math.sqrt(1.0 + seen)
        why = f"it has {seen:.0f} scores so far"
        found.append(msgspec.structs.replace(candidate, gain=candidate.gain + bonus, strategy="reinforcement", why=why))
    return sorted(found, key=lambda c: -c.gain), others
