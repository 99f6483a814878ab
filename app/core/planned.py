"""A trial with a planned maximum: O'Brien-Fleming bounds in place of an open end (``app.core.stats.obrien_fleming``).

An experiment may say how many scored answers each slice shall have at most. Then its scores are looked at ``LOOKS``
times, at equal shares of that maximum; a look that crosses its bound decides at about the price of one fixed test, and
the last one ends the trial. A look falls at the first minute at or beyond its share, with the bound of the share
itself, which is the larger one. Guardrails hold beside it, with their always-valid intervals. The bounds are computed
once a process and alpha (0.2 s).
"""

import math

import msgspec

from app.core.experiments import shared
from app.core.reasons import guardrails_of
from app.core.row import Row
from app.core.stats.obrien_fleming import bounds
from app.core.stats.within_minute import close
from app.core.verdict import Verdict, change

LOOKS = 20
SHARES = tuple(round((i + 1) / LOOKS, 9) for i in range(LOOKS))


def looked(row: Row, verdict: Verdict) -> tuple[Row, Verdict]:
    """``verdict`` after the newest look at the scores of the open trial; unchanged without a planned maximum."""
    trial = row.trial
    one = next((e for e in row.experiments if e.id == row.trial_experiment and e.scored_max), None)
    if trial is None or trial.mirrored or one is None or verdict.kind in ("harm", "timeout"):
        return row, verdict
    if one.looked_at != trial.arm:
        one = msgspec.structs.replace(one, looked_at=trial.arm, looks=0, better=False)
    seen = change("quality", close(trial.evidence.quality))
    looks = min(LOOKS, int(LOOKS * 2 * seen.n / one.scored_max))  # n pairs are two answers, half of each slice's
    if looks > one.looks and math.isfinite(seen.variance) and seen.variance > 0:
        alpha = shared(guardrails_of(row.document), row).alpha
        z = seen.estimate / math.sqrt(seen.variance / seen.n)
        bound = bounds(SHARES, alpha)[looks - 1]
        one = msgspec.structs.replace(one, looks=looks, better=one.better or z >= bound)
        if z <= -bound:
            worse = f"its scores are lower beyond the bound of look {looks} of {LOOKS}"
            verdict = msgspec.structs.replace(verdict, kind="harm", metric="quality", reason=worse)
        elif looks == LOOKS and not one.better:
            end = f"the planned {one.scored_max} scored answers a slice show no difference"
            verdict = msgspec.structs.replace(verdict, kind="timeout", metric="quality", reason=end)
    if one.better:
        verdict = msgspec.structs.replace(verdict, benefit=True)
    experiments = tuple(one if e.id == one.id else e for e in row.experiments)
    return msgspec.structs.replace(row, experiments=experiments), verdict
