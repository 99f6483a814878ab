"""From the name of a strategy in the service document to the levers that may propose, and their ideas as one list."""

from collections.abc import Mapping

from app.core.decision import Alternative
from app.core.document import StrategyName, StrategyPlan
from app.core.levers.cost_performance import cost_performance
from app.core.levers.lever import Candidate, Ideas, Lever, Need, View
from app.core.levers.prompt_testing import a_b_testing, prompt_variants
from app.core.levers.reinforcement import reinforcement_feedback
from app.core.levers.tuning import adaptive_parameter_tuning, tuning

LEVERS: Mapping[StrategyName, tuple[Lever, ...]] = {
    "a_b_testing": (a_b_testing,),
    "reinforcement_feedback": (reinforcement_feedback,),
    "cost_performance_scoring": (cost_performance,),
    "adaptive_parameter_tuning": (adaptive_parameter_tuning,),
    "threshold_based": (cost_performance,),
    "hybrid": (cost_performance, prompt_variants),
}


def levers_of(plan: StrategyPlan, need: Need) -> tuple[Lever, ...]:
    """The levers of a strategy, the safest source of arms first."""
    if plan.name == "threshold_based" and not need:
        return ()
    levers = LEVERS[plan.name]
    tunes = plan.tune and plan.name in ("hybrid", "threshold_based")
    return (*levers, tuning) if tunes else levers


def ideas(view: View) -> Ideas:
    """Arms worth a trial, best first, and the others with the reason why not."""
    worth: list[Candidate] = []
    others: dict[str, Alternative] = {}
    for lever in levers_of(view.document.strategy, view.need):
        found, left = lever(view)
        worth += found
        others |= {alternative.arm: alternative for alternative in left}
    helping = [c for c in worth if helps(c, view.need)]
    others |= {c.arm: Alternative(c.arm, f"it is known not to help with {view.need}") for c in worth}
    for candidate in helping:
        others.pop(candidate.arm, None)
    return _ordered(helping, view), list(others.values())


def helps(candidate: Candidate, need: Need) -> bool:
    """Whether a candidate may mend what is wrong: known to, or not known yet, or made for it."""
    known = candidate.expected.get(need)
    if need in ("latency", "cost"):
        return known is None or known.estimate < 0
    if need == "tuning":
        return candidate.strategy == "adaptive-tuning"
    return known is None or known.estimate > 0 if need == "quality" else True


def _ordered(worth: list[Candidate], view: View) -> list[Candidate]:
    """By gain (or by what is needed), equal ones in the order of their levers; own orders of a lever are kept."""
    if view.need in ("latency", "cost"):
        return sorted(worth, key=lambda c: c.expected[view.need].estimate if view.need in c.expected else 0.0)
    if view.need == "quality":
        return sorted(worth, key=lambda c: -c.expected["quality"].estimate if "quality" in c.expected else 0.0)
    if view.document.strategy.choose == "knee" or view.document.strategy.name == "a_b_testing":
        return worth
    return sorted(worth, key=lambda c: -c.gain)
