"""How long an arm is left alone after it lost: a day, then twice as long each time, at most 30 days.

An arm that a limit or policy forbids is looked at again after a day, or as soon as the document changes.
"""

from app.core.row import Rest, Row

REST_S = 86_400
REST_LONGEST_S = 30 * REST_S


def rested(row: Row, arm: str, now_s: int, why: str) -> dict[str, Rest]:
    """``row.resting`` after ``arm`` lost a trial or was refused."""
    times = row.resting[arm].times + 1 if arm in row.resting else 1
    until_s = now_s + min(REST_S * 2 ** (times - 1), REST_LONGEST_S)
    return {**row.resting, arm: Rest(until_s, times, why)}


def forbidden(row: Row, arm: str, now_s: int, why: str) -> dict[str, Rest]:
    """``row.resting`` after a limit or policy forbade ``arm``: what it lost before still counts."""
    times = row.resting[arm].times if arm in row.resting else 0
    return {**row.resting, arm: Rest(now_s + REST_S, times, why, by_rule=True)}


def allowed_again(resting: dict[str, Rest]) -> dict[str, Rest]:
    """``resting`` under a new document: what a rule forbade is looked at afresh."""
    return {arm: rest for arm, rest in resting.items() if not rest.by_rule}
