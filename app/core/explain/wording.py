"""Numbers written for people: percent, points, durations, and how a metric's change is said."""

from app.core.decision import Constraint, Impact

POINTS = frozenset({"quality", "errors"})
"""Metrics on a 0-1 scale: their changes are absolute points. latency and cost change by ratio."""
HIGHER_IS_BETTER = frozenset({"quality", "reward"})
_LESS_MORE = {"cost": ("lower", "higher"), "latency": ("lower", "higher")}


def number(value: float, digits: int) -> str:
    """``value`` with at most ``digits`` decimals and thousands separated: 1,234.5; never -0."""
    text = f"{value:,.{digits}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def percent(ratio: float) -> str:
    """``0.613`` as ``61 %``; one decimal below 10 %."""
    value = ratio * 100
    return f"{number(value, 0 if abs(value) >= 10 else 1)} %"


def points(value: float) -> str:
    """``0.019`` as ``1.9 points``."""
    text = number(value * 100, 1)
    return f"{text} point" if text in ("1", "-1") else f"{text} points"


def amount(metric: str, value: float) -> str:
    """An unsigned or negative amount of a metric in its unit."""
    if metric in POINTS:
        return points(value)
    return number(value, 3) if metric == "reward" else percent(value)


def signed(metric: str, value: float) -> str:
    """``amount`` with its sign, ``+`` included."""
    text = amount(metric, value)
    return text if text.startswith(("-", "0 ")) or text == "0" else f"+{text}"


def duration(minutes: float) -> str:
    """``150`` as ``2 h 30 min``."""
    whole = max(1, round(minutes))
    if whole < 60:
        return f"{whole} min"
    if whole < 2880:
        hours, rest = divmod(whole, 60)
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    return f"{number(whole / 1440, 1)} days"


def worst(metric: str, impact: Impact) -> float | None:
    """The end of the interval that would hurt most."""
    return impact.low if metric in HIGHER_IS_BETTER else impact.high


def mildest(metric: str, impact: Impact) -> float | None:
    """The end of the interval that would hurt least."""
    return impact.high if metric in HIGHER_IS_BETTER else impact.low


def harm(metric: str, value: float) -> float:
    """A change seen as harm: positive is worse."""
    return -value if metric in HIGHER_IS_BETTER else value


def improves(metric: str, impact: Impact) -> bool:
    """Whether the whole interval is on the good side."""
    bound = worst(metric, impact)
    return bound is not None and harm(metric, bound) < 0


def better_or_worse(metric: str, impact: Impact) -> str:
    """``61 % lower cost (55 % to 66 %)``: a change without signs, with its interval."""
    less, more = _LESS_MORE.get(metric, ("lower", "higher"))
    down = impact.estimate < 0
    text = f"{amount(metric, abs(impact.estimate))} {less if down else more} {_noun(metric)}"
    if impact.low is None or impact.high is None:
        return text
    low, high = (-impact.high, -impact.low) if down else (impact.low, impact.high)
    return f"{text} ({amount(metric, low)} to {amount(metric, high)})"


def _noun(metric: str) -> str:
    return {"errors": "error rate"}.get(metric, metric)


def failed(constraint: Constraint) -> str:
    """A constraint that does not hold: the rule, its value and its limit."""
    warned = "warning: " if constraint.severity == "warn" else ""
    value = "not measured" if constraint.value is None else number(constraint.value, 4)
    if not constraint.detail or constraint.value is None:
        return f"{warned}{constraint.name} is {value}, the limit is {number(constraint.limit, 4)}"
    beyond = f": {value}, the limit is {number(constraint.limit, 4)}" if constraint.limit else ""
    return f"{warned}{constraint.name}: {constraint.detail}{beyond}"
