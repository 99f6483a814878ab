"""The one gate of every change: limits, service level objectives, policies (requirements: "Validate Decision")."""

import msgspec

from app.core.decision import Constraint
from app.core.explain.wording import failed
from app.core.policy import abilities, limits, rules
from app.core.policy.view import Action, Proposed, measured
from app.core.row import Row


class Gate(msgspec.Struct, frozen=True):
    """Every constraint the change was held against; ``stops``: those that forbid it."""

    constraints: tuple[Constraint, ...]

    @property
    def stops(self) -> tuple[Constraint, ...]:
        return tuple(c for c in self.constraints if not c.satisfied and c.severity == "deny")

    @property
    def cause(self) -> str:
        """Half a sentence: what stopped the change; empty when nothing did."""
        return "; ".join(failed(c) for c in self.stops)


def gate(row: Row, action: Action, arm: str, share: float, now_s: int) -> Gate:
    """Hold ``arm`` getting ``share`` of the traffic against everything that may forbid it."""
    declared = row.document.arm(arm)
    if declared is None:
        return Gate(())
    proposed = Proposed(action, declared, share)
    metrics = measured(row, proposed, now_s)
    held = (
        *abilities.constraints(row, proposed),
        *limits.constraints(row, proposed, metrics),
        *rules.constraints(row, proposed, metrics),
    )
    return Gate(held)
