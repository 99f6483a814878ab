"""What a decision was made from: enough to make it again, with other limits or weights (``what_if``).

They stand in the evidence of every decision that looked for a change or judged a trial, as plain values.
"""

from typing import Any

import msgspec

from app.core.budget import Budgeting
from app.core.by_segment import BySegment
from app.core.decision import Trigger
from app.core.document import ServiceDocument
from app.core.forecast import Spread
from app.core.levers.lever import Need
from app.core.levers.made_arm import Made
from app.core.off_policy import OffPolicy
from app.core.profile import Profile
from app.core.queue import Experiment
from app.core.resolved import resolved
from app.core.row import Rest, Row
from app.core.trial import Trial

KEY = "inputs"
"""Name in the evidence of a decision."""


@resolved
class Inputs(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The fields of the row that the rules read, as they were at ``now_s`` (event time); ``trial`` None: they looked
    for a change.
    """

    now_s: int
    trigger: Trigger
    need: Need = ""
    cause: str = ""
    document: ServiceDocument
    incumbent: str
    admitted: tuple[str, ...] = ()
    profiles: dict[str, Profile] = {}
    spread: Spread = Spread()
    resting: dict[str, Rest] = {}
    requests_per_minute: float = 0.0
    trial: Trial | None = None
    made: tuple[Made, ...] = ()
    tried: tuple[str, ...] = ()
    off_policy: OffPolicy = OffPolicy()
    budgeting: Budgeting = Budgeting()
    experiments: tuple[Experiment, ...] = ()
    trial_experiment: str = ""
    trial_segments: BySegment = {}
    contest: tuple[Trial, ...] = ()
    version: int = 0
    cycle: int = 0

    def row(self, document: ServiceDocument) -> Row:
        """The row again, under ``document``."""
        fields = {name: getattr(self, name) for name in _OF_ROW}
        return Row(service=document.service, declared=True, **{**fields, "document": document})


_ASKED = frozenset({"now_s", "trigger", "need", "cause"})
_OF_ROW = tuple(name for name in Inputs.__struct_fields__ if name not in _ASKED)


def inputs_of(row: Row, now_s: int, trigger: Trigger, need: Need = "", cause: str = "") -> dict[str, Any]:
    """The evidence ``{"inputs": ...}`` of a decision about to be made from ``row``."""
    fields = {name: getattr(row, name) for name in _OF_ROW}
    return {KEY: Inputs(now_s=now_s, trigger=trigger, need=need, cause=cause, **fields)}


def read_inputs(evidence: dict[str, Any]) -> Inputs | None:
    """The inputs in the evidence of a decision that came as JSON; None where there are none, or of another engine."""
    try:
        return msgspec.convert(evidence[KEY], Inputs, strict=False)
    except (KeyError, msgspec.ValidationError):
        return None
