"""When a score becomes an alert: a quiet time after each, and a bar that rises with every recent one."""

from math import exp

import msgspec


class Fatigue(msgspec.Struct, array_like=True):
    """A score is divided by 1 + ``weight`` x (alerts lately, each fading over ``memory`` points): a series that cries
    often must cry louder. For ``quiet`` points after an alert nothing is an alert and the score is 0.
    """

    threshold: float
    quiet: int
    memory: float
    weight: float
    recent: float = 0.0
    since: int = 1 << 31

    def step(self, score: float) -> tuple[float, bool]:
        """(the score as it counts now, whether it is an alert)."""
        self.recent *= exp(-1.0 / self.memory)
        self.since += 1
        if self.since < self.quiet:
            return 0.0, False
        tempered = score / (1.0 + self.weight * self.recent)
        alert = tempered >= self.threshold
        if alert:
            self.recent += 1.0
            self.since = 0
        return tempered, alert
