"""What every detector answers to a point, and the shape all detectors share."""

from typing import NamedTuple, Protocol


class Scored(NamedTuple):
    """``score``: finite, higher is stranger, 0 while nothing can be said; ``alert``: it is worth a look now."""

    score: float
    alert: bool


NOTHING = Scored(0.0, alert=False)


class Detector(Protocol):
    """Scores a series point by point, each before it is learned."""

    def step(self, time_s: float, value: float) -> Scored:
        """The score of ``value`` at ``time_s`` (seconds since 1970); then learn it. What is not finite is NOTHING."""
        ...
