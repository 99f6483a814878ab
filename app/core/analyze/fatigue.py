"""When a score becomes an alert: a quiet time after each, and a bar that rises with every recent one."""

import msgspec

from app.core.analyze.scored import NOTHING, Scored


class Fatigue(msgspec.Struct, array_like=True):
    """A score is divided by 1 + ``weight`` x (recent alerts, each fading over ``memory`` points): a series that cries
    often must cry louder. For ``quiet`` points after an alert the score is 0.
    """

    threshold: float
    quiet: int = 100
    memory: float = 3000.0
    weight: float = 0.2
    recent: float = 0.0
    silent: int = 0

    def step(self, score: float) -> Scored:
        """``score`` as it counts now, and whether it is an alert."""
        self.recent -= self.recent / self.memory
        if self.silent:
            self.silent -= 1
            return NOTHING
        tempered = score / (1.0 + self.weight * self.recent)
        if tempered < self.threshold:
            return Scored(tempered, False)
        self.recent += 1.0
        self.silent = self.quiet - 1
        return Scored(tempered, True)
