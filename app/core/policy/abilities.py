"""What a gateway must be able to do for a change, held against what it says it can (``app.core.ports.Capability``)."""

from collections.abc import Iterator

from app.core.decision import Constraint
from app.core.policy.view import Proposed
from app.core.row import Row


def constraints(row: Row, proposed: Proposed) -> Iterator[Constraint]:
    """One broken rule for every capability that a new trial needs and the gateway lacks.

    A gateway that never said anything is taken to draw slices; that it mirrors traffic, it has to say.
    """
    if proposed.action != "open-trial":
        return
    document, able = row.document, row.capabilities
    mode = document.trial.mode
    if able and "slices" not in able and not ("single_challenger" in able and not document.holdout_share):
        yield _lacking("slices", f"{document.gateway} cannot draw the slices of a trial")
    if mode == "shadow" and "shadow" not in able:
        said = "does not mirror traffic" if able else "has not said that it mirrors traffic"
        yield _lacking("shadow", f"{document.gateway} {said}, which mode shadow needs")


def _lacking(capability: str, detail: str) -> Constraint:
    return Constraint(name=f"gateway.{capability}", limit=0.0, value=1.0, satisfied=False, detail=detail)
