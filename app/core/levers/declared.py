"""The first lever: the arms the service document declares, best expected gain first.

The gain is that of the reward of the objective (a composite of means, STATISTICS 3) over the incumbent. What is not
known of an arm is assumed equal to the incumbent, so an arm is tried for what is known to be better and judged for all
the rest. Strategy ``cost-performance`` of the requirements.
"""

from collections.abc import Callable, Mapping

import msgspec

from app.core.decision import Alternative, Impact
from app.core.document import ServiceDocument
from app.core.prices import PriceBook
from app.core.profile import Profile


class Candidate(msgspec.Struct, frozen=True):
    """An arm worth a trial: expected reward gain over the incumbent, and what is expected of each metric."""

    arm: str
    gain: float
    expected: dict[str, Impact]


class Expectation(msgspec.Struct, frozen=True):
    """Known means of an arm; None where nothing is known."""

    cost: float | None
    latency: float | None
    quality: float | None


def candidates(
    document: ServiceDocument,
    incumbent: str,
    taken: frozenset[str],
    profiles: Mapping[str, Profile],
    resting: Callable[[str], str],
    now_s: int,
) -> tuple[list[Candidate], list[Alternative]]:
    """Arms worth a trial, best first, and every other arm with the reason why not.

    ``taken`` arms already serve; ``resting(arm)`` says why an arm must wait, or "".
    """
    book = PriceBook(document)
    base = profiles.get(incumbent, Profile())
    now = expectation(book, base, incumbent, base, now_s)
    worth: list[Candidate] = []
    others: list[Alternative] = []
    for name in document.arm_names:
        if name == incumbent:
            continue
        then = expectation(book, profiles.get(name, Profile()), name, base, now_s)
        candidate = Candidate(name, gain(document, now, then), _impacts(now, then, int(base.n)))
        why_not = "already serves traffic" if name in taken else resting(name) or _too_dear(document, candidate)
        if why_not:
            others.append(Alternative(name, why_not))
        else:
            worth.append(candidate)
    worth.sort(key=lambda c: (-c.gain, document.arm_names.index(c.arm)))
    return worth, others


def expectation(book: PriceBook, profile: Profile, arm: str, traffic: Profile, now_s: int) -> Expectation:
    """What is known of ``arm``: its own means, else its price on the tokens of the present ``traffic``."""
    cost = profile.cost
    price = book.of_arm(arm, now_s) if cost is None else None
    if price is not None and traffic.n >= 1:
        a, b, c = price.coefficients
        cost = (a * traffic.input_tokens + b * traffic.output_tokens + c * traffic.cached_tokens) / traffic.n
    return Expectation(cost, profile.latency, profile.mean_quality)


def gain(document: ServiceDocument, now: Expectation, then: Expectation) -> float:
    """Expected change of the reward; what is unknown on either side counts as no change."""
    objective, total = document.objective, 0.0
    weights = objective.effective
    if now.quality is not None and then.quality is not None:
        total += weights.quality * (then.quality - now.quality)
    if now.cost is not None and then.cost is not None:
        total -= weights.cost * (then.cost - now.cost) / objective.cost_max_usd
    if now.latency is not None and then.latency is not None:
        total -= weights.latency * (then.latency - now.latency) / objective.latency_max_ms
    return total


def _impacts(now: Expectation, then: Expectation, n: int) -> dict[str, Impact]:
    impacts: dict[str, Impact] = {}
    if now.cost and then.cost is not None:
        impacts["cost"] = Impact(estimate=then.cost / now.cost - 1, n=n)
    if now.latency and then.latency is not None:
        impacts["latency"] = Impact(estimate=then.latency / now.latency - 1, n=n)
    if now.quality is not None and then.quality is not None:
        impacts["quality"] = Impact(estimate=then.quality - now.quality, n=n)
    return impacts


def _too_dear(document: ServiceDocument, candidate: Candidate) -> str:
    cost = candidate.expected.get("cost")
    if cost is None or cost.estimate <= document.guardrails.cost.tolerance or candidate.gain > 0:
        return ""
    return f"costs {100 * cost.estimate:.0f} % more than the incumbent and nothing known says that it is better"
