"""What the open trial has shown by now, by the rules of the document it runs under."""

import msgspec

from app.core import verdict as verdicts
from app.core.experiments import shared
from app.core.modes import baked
from app.core.reasons import guardrails_of
from app.core.row import Row
from app.core.trial import Trial
from app.core.verdict import Verdict


def verdict(row: Row, trial: Trial, now_s: int) -> Verdict:
    """The verdict on ``trial`` at ``now_s``; minutes without traffic count as time that has passed."""
    reached = msgspec.structs.replace(trial, last_minute=max(trial.last_minute, now_s // 60 - 1))
    guardrails = baked(shared(guardrails_of(row.document), row), trial, row.document.trial)
    return verdicts.judge(reached, guardrails, row.objective)
