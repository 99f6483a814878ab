"""Policies by the name a user gives."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from app.core.backtest.contextual import Contextual
from app.core.backtest.epsilon_greedy import EpsilonGreedy
from app.core.backtest.fixed import best_fixed, cheapest
from app.core.backtest.minute import MinuteWeights
from app.core.backtest.policy import Policy, Problem
from app.core.backtest.q_learning import QLearning
from app.core.backtest.segments import Segments
from app.core.backtest.thompson import Thompson
from app.core.backtest.ucb import Ucb
from app.core.backtest.uniform import Uniform

POLICIES: Mapping[str, Callable[[Problem], Policy]] = MappingProxyType(
    {
        "random": Uniform,
        "best-fixed": best_fixed,
        "cheapest": cheapest,
        "thompson": Thompson,
        "segments": Segments,
        "contextual": Contextual,
        "ucb": Ucb,
        "epsilon-greedy": EpsilonGreedy,
        "q-learning": QLearning,
        "weights": MinuteWeights,
    }
)
