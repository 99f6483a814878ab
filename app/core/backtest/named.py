"""Policies by the name a user gives."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from app.core.backtest.fixed import best_fixed, cheapest
from app.core.backtest.minute import MinuteWeights
from app.core.backtest.policy import Policy, Problem
from app.core.backtest.thompson import Thompson
from app.core.backtest.uniform import Uniform

POLICIES: Mapping[str, Callable[[Problem], Policy]] = MappingProxyType(
    {
        "random": Uniform,
        "best-fixed": best_fixed,
        "cheapest": cheapest,
        "thompson": Thompson,
        "weights": MinuteWeights,
    }
)
