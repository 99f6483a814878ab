"""What every lever is: a source of arms worth a trial. It proposes, one machinery judges (DESIGN 7).

A lever is a pure function of what is known of a service. It names declared arms, or makes new ones (``made``) that
enter the service document's arms only when their trial begins.
"""

from collections.abc import Callable, Mapping
from typing import Literal, Protocol

import msgspec

from app.core.decision import Alternative, Impact, Strategy
from app.core.document import Arm, ServiceDocument
from app.core.forecast import Spread
from app.core.profile import Profile

Need = Literal["", "latency", "cost", "quality", "errors", "tuning"]
"""What a finding asks for; "" when nothing is wrong and the best expected gain is looked for."""


class View(msgspec.Struct, frozen=True, kw_only=True):
    """What a lever may look at. ``serving`` arms get main traffic; ``resting(arm)`` says why an arm must wait, or "".

    ``tried``: keys of made arms that had their trial and are not made again. ``now_s``: epoch seconds.
    """

    document: ServiceDocument
    incumbent: str
    serving: frozenset[str] = frozenset()
    profiles: Mapping[str, Profile] = {}
    resting: Callable[[str], str]
    now_s: int = 0
    need: Need = ""
    tried: frozenset[str] = frozenset()
    spread: Spread = Spread()


class Candidate(msgspec.Struct, frozen=True):
    """An arm worth a trial: expected reward gain over the incumbent, and what is expected of each metric.

    ``made``: the definition of an arm that is not in the document yet; ``why``: the idea behind it, half a sentence.
    """

    arm: str
    gain: float
    expected: dict[str, Impact]
    strategy: Strategy = "cost-performance"
    made: Arm | None = None
    why: str = ""


Ideas = tuple[list[Candidate], list[Alternative]]


class Lever(Protocol):
    """Arms worth a trial, in the lever's own order, and arms it looked at and left, each with the reason."""

    def __call__(self, view: View) -> Ideas: ...
