"""What conditions and limits see of the money: spent in the present day and month of the budget's time zone (USD)."""

from datetime import datetime
from zoneinfo import ZoneInfo

from app.core.budget import Budgeting
from app.core.document import ServiceDocument

NAMES = ("daily_cost", "monthly_cost")


def asked_of_spending(document: ServiceDocument) -> bool:
    """Whether a policy reads what was spent, so that it must be counted even without a budget."""
    return any(name in rule.condition for policy in document.policies for rule in policy.rules for name in NAMES)


def spent(state: Budgeting, document: ServiceDocument, now_s: int) -> tuple[float, float] | None:
    """(day, month) so far, as of the last second before ``now_s``; None before anything was counted."""
    if not state.at_s:
        return None
    local = datetime.fromtimestamp(max(0, now_s - 1), ZoneInfo(document.budget.time_zone))
    day = state.day.usd if state.day.number == local.toordinal() else 0.0
    month = state.month.usd if state.month.number == local.year * 12 + local.month else 0.0
    return day, month
