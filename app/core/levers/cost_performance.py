"""Strategy ``cost_performance_scoring``: the arms the service document declares, best expected gain first.

The gain is that of the reward of the objective (a composite of means, STATISTICS 3) over the incumbent. What is not
known of an arm is assumed equal to the incumbent, so an arm is tried for what is known to be better and judged for all
the rest. Arms that another arm dominates in everything known are left; with ``choose = "knee"`` the knee of the Pareto
front comes first, whatever the weights say.
"""

import msgspec

from app.core.decision import Alternative
from app.core.document import ServiceDocument
from app.core.levers.expectation import Expectation, expectation, gain, impacts, traffic_of
from app.core.levers.lever import Candidate, Ideas, View
from app.core.levers.pareto import Point, dominated_by, front, knee
from app.core.profile import Profile


def cost_performance(view: View) -> Ideas:
    """Declared arms worth a trial, and every other arm with the reason why not."""
    document, incumbent = view.document, view.incumbent
    traffic, nothing = traffic_of(view), Profile()
    known = {arm.name: expectation(traffic, arm, view.profiles.get(arm.name, nothing)) for arm in document.arms}
    points = [point for name, seen in known.items() if (point := _point(name, seen)) is not None]
    now = known.get(incumbent, Expectation(None, None, None))
    worth: list[Candidate] = []
    others: list[Alternative] = []
    for name in document.arm_names:
        if name == incumbent:
            continue
        candidate = Candidate(name, gain(document, now, known[name]), impacts(now, known[name], int(traffic.profile.n)))
        why_not = _why_not(view, candidate, points)
        if why_not:
            others.append(Alternative(name, why_not))
        else:
            worth.append(candidate)
    worth.sort(key=lambda c: (-c.gain, document.arm_names.index(c.arm)))
    return (_knee_first(worth, points) if document.strategy.choose == "knee" else worth), others


def _point(arm: str, seen: Expectation) -> Point | None:
    if seen.quality is None or seen.cost is None or seen.latency is None:
        return None
    return Point(arm, seen.quality, seen.cost, seen.latency)


def _why_not(view: View, candidate: Candidate, points: list[Point]) -> str:
    if candidate.arm in view.serving:
        return "already serves traffic"
    resting = view.resting(candidate.arm)
    if resting:
        return resting
    at = next((point for point in points if point.arm == candidate.arm), None)
    better = dominated_by(at, points) if at is not None else ""
    if better:
        return f"{better} is at least as good in quality, cost and latency, and better in one"
    return _too_dear(view.document, candidate) if view.need in ("", "cost", "tuning") else ""


def _too_dear(document: ServiceDocument, candidate: Candidate) -> str:
    cost = candidate.expected.get("cost")
    if cost is None or cost.estimate <= document.guardrails.cost.tolerance or candidate.gain > 0:
        return ""
    return f"costs {100 * cost.estimate:.0f} % more than the incumbent and nothing known says that it is better"


def _knee_first(worth: list[Candidate], points: list[Point]) -> list[Candidate]:
    chosen = knee(front(points))
    named = [
        msgspec.structs.replace(c, why="it is the knee of the Pareto front") if c.arm == chosen else c for c in worth
    ]
    return sorted(named, key=lambda c: c.arm != chosen)
