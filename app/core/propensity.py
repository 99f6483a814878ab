"""How likely a version of the split gave a request each arm: the propensities of every estimate on live traffic."""

import msgspec

from app.core.assign import expected_shares
from app.core.document import EVERYWHERE
from app.core.split import Split


class Shares(msgspec.Struct, frozen=True, array_like=True):
    """A version's propensities: holdout share, baseline, and by segment each arm's share outside the holdout."""

    holdout: float
    baseline: str
    segments: dict[str, dict[str, float]]

    def weights(self, segment: str) -> dict[str, float]:
        """Shares outside the holdout; those of all traffic for a segment the version did not name."""
        return self.segments.get(segment) or self.segments.get(EVERYWHERE, {})

    def probability(self, segment: str, arm: str) -> float:
        """Chance that a request of ``segment`` was given ``arm``."""
        outside = (1 - self.holdout) * self.weights(segment).get(arm, 0.0)
        return outside + (self.holdout if arm == self.baseline else 0.0)


def shares_of(split: Split) -> Shares:
    """The propensities a split states."""
    outside = 1 - split.holdout_share
    segments: dict[str, dict[str, float]] = {}
    for segment in split.weights:
        arms = segments[segment] = {}
        for (slice_, arm), share in expected_shares(split, segment).items():
            if slice_ != "holdout":
                arms[arm] = arms.get(arm, 0.0) + share / outside
    return Shares(split.holdout_share, split.baseline or split.incumbent, segments)
