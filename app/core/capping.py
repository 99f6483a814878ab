"""Policy single under a budget: who serves, so that the budget lasts to the end of its period (STATISTICS 6).

One arm serves, so nothing can be mixed: the best one serves as long as it can. Once what is left of the budget, spread
over the requests that are left, is no more than ``MARGIN`` times what the cheapest admitted arm costs (or half way from
that to the better one), that arm stands in; when what is left would pay for the better one to the end, or a new period
has begun, it is back. Between the two nothing moves. Admitted: the declared backup, the baseline, and who served
before; an arm that was never judged does not serve because it is cheap. A trial ends: its control would be another arm.
"""

import msgspec

from app.core import change, rollout
from app.core.backup import usable
from app.core.budget import Allowance, allowance, amount, as_constraint, limited
from app.core.change import Why
from app.core.decision import Change
from app.core.ideas import view_of
from app.core.ids import stable_id
from app.core.levers.expectation import expectation, traffic_of
from app.core.outputs import Output
from app.core.profile import Profile
from app.core.row import Row

Result = tuple[Row, list[Output]]
MARGIN = 2.0
"""Once the cheapest serves nothing can be saved any more: the rest of a period may be twice what is forecast."""


def kept(row: Row, now_s: int) -> Result:
    """``row`` with the arm that its budget can pay for, published if it is another one."""
    found = allowance(row.budgeting, row.document) if limited(row.document) else None
    if found is None or not row.may_publish or row.split is None:
        return row, []
    state = row.budgeting
    if state.stand_in and (row.incumbent != state.stand_in or row.document.arm(state.saved_from) is None):
        return _noted(row, saved_from="", stand_in=""), []  # somebody else decided who serves
    if state.stand_in:
        return _back(row, now_s, found)
    return _saved(row, now_s, found)


def _saved(row: Row, now_s: int, found: Allowance) -> Result:
    costs = {arm: cost for arm in admitted(row, now_s) if (cost := _cost(row, arm, now_s)) is not None}
    now = _cost(row, row.incumbent, now_s)
    cheapest = min(costs, key=lambda arm: (costs[arm], arm), default="")
    if not cheapest or now is None or costs[cheapest] >= now:
        return _nobody(row, now_s, found)
    if found.usd > min(MARGIN * costs[cheapest], 0.5 * (costs[cheapest] + now)):
        return row, []
    cause = f"{amount(found)} lasts only if the cheapest admitted arm answers"
    row = _noted(row, saved_from=row.incumbent, stand_in=cheapest, capped=found.spent >= found.budget)
    return _serve(row, now_s, cheapest, found, cause)


def _back(row: Row, now_s: int, found: Allowance) -> Result:
    former = row.budgeting.saved_from
    cost = _cost(row, former, now_s)
    if cost is None or found.usd < cost or not usable(row, former, now_s):
        return row, []
    row = _noted(row, saved_from="", stand_in="", capped=False)
    return _serve(row, now_s, former, found, f"{amount(found)} pays for it again")


def _nobody(row: Row, now_s: int, found: Allowance) -> Result:
    """The budget is spent and no admitted arm is cheaper: said once, so that a person can change something."""
    spent = found.spent >= found.budget
    if spent == row.budgeting.capped:
        return row, []
    row = _noted(row, capped=spent)
    if not spent:
        return row, []
    cause = f"{amount(found)} is spent, and no admitted arm is known to be cheaper: name one as strategy.backup"
    why = _why(row, row.incumbent, found, cause, ())
    return row, [change.say(row, "refused", stable_id("budget", row.service, found.name, now_s), now_s, why)]


def _serve(row: Row, now_s: int, arm: str, found: Allowance, cause: str) -> Result:
    """``arm`` answers from now on."""
    said: list[Output] = []
    if row.trial is not None:
        row, said = rollout.end(
            row, now_s, Why(action="roll-back", trigger="threshold", strategy="threshold", evidence={"cause": cause})
        )
    moves = tuple(
        Change(parameter=f"weights.*.{name}", old=old, new=1.0 - old)
        for name, old in ((row.incumbent, 1.0), (arm, 0.0))
    )
    why = _why(row, arm, found, cause, moves)
    row = msgspec.structs.replace(row, incumbent=arm, proposal=None, cooldown_s=rollout.cooldown(row, now_s))
    row, published = change.publish(row, now_s, why)
    return row, [*said, *published]


def _why(row: Row, arm: str, found: Allowance, cause: str, changes: tuple[Change, ...]) -> Why:
    evidence = {"incumbent": row.incumbent, "cause": cause, "budget": found._asdict(), "constraint": "budget"}
    return Why(
        action="move-weights", trigger="threshold", strategy="threshold", evidence={"challenger": arm, **evidence},
        constraints=(as_constraint(found),), changes=changes, confidence=1.0,
    )  # fmt: skip


def admitted(row: Row, now_s: int) -> list[str]:
    """Arms that may stand in: the backup, the baseline, who served before; not those that rest or are forbidden."""
    former = (past.incumbent for past in row.history)
    names = dict.fromkeys((row.document.strategy.backup, row.document.baseline, *row.admitted, *former))
    return [arm for arm in names if arm and arm != row.incumbent and usable(row, arm, now_s)]


def _cost(row: Row, arm: str, now_s: int) -> float | None:
    """USD a request of ``arm``: its own mean, else its price on the present traffic; None: nothing is known."""
    profile, declared = row.profiles.get(arm), row.document.arm(arm)
    if profile is not None and profile.cost is not None:
        return profile.cost
    if declared is None:
        return None
    return expectation(traffic_of(view_of(row, now_s)), declared, profile or Profile()).cost


def _noted(row: Row, **fields: object) -> Row:
    return msgspec.structs.replace(row, budgeting=msgspec.structs.replace(row.budgeting, **fields))
