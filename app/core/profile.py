"""What an arm has looked like lately: decayed sums of its traffic, whatever the slice.

Used to choose what to try and to say what to expect, never to judge: these means are confounded with the traffic each
arm happened to get. Half-life one day of panes with traffic. Units: USD, ms, tokens, quality in [0, 1].
"""

import msgspec

from app.core.cell import Cell, Score, Waste
from app.core.sketch import Histogram, bucket

DECAY = 0.5 ** (1 / 1440)
_NO_SCORE, _NO_WASTE = Score(), Waste()


class Profile(msgspec.Struct, frozen=True, array_like=True):
    """Decayed sums of one arm. ``limited`` requests had a token limit, ``limits`` and ``written`` are the tokens
    allowed and written under them; ``truncated`` answers ended at the limit, ``invalid`` ones are not JSON. Of the
    ``timed`` answers ``within`` came within ``promised_ms``, the promise of the document (0: it makes none).
    """

    n: float = 0.0
    errors: float = 0.0
    latency_ms: float = 0.0
    input_tokens: float = 0.0
    output_tokens: float = 0.0
    cached_tokens: float = 0.0
    cost_n: float = 0.0
    cost_usd: float = 0.0
    scores: float = 0.0
    quality: float = 0.0
    limited: float = 0.0
    limits: float = 0.0
    written: float = 0.0
    truncated: float = 0.0
    invalid: float = 0.0
    within: float = 0.0
    timed: float = 0.0
    promised_ms: float = 0.0

    def learned(self, cell: Cell, channel: str) -> "Profile":
        """This profile a pane older, with ``cell`` added; quality from one score channel."""
        score, waste = cell.quality.get(channel, _NO_SCORE), cell.waste or _NO_WASTE
        return Profile(  # written out: a loop over the fields costs three times as much
            DECAY * self.n + cell.n,
            DECAY * self.errors + cell.errors,
            DECAY * self.latency_ms + cell.latency_ms,
            DECAY * self.input_tokens + cell.input_tokens,
            DECAY * self.output_tokens + cell.output_tokens,
            DECAY * self.cached_tokens + cell.cached_tokens,
            DECAY * self.cost_n + cell.cost_n,
            DECAY * self.cost_usd + cell.cost_usd,
            DECAY * self.scores + score.n,
            DECAY * self.quality + score.total,
            DECAY * self.limited + waste.limited,
            DECAY * self.limits + waste.limits,
            DECAY * self.written + waste.written,
            DECAY * self.truncated + waste.truncated,
            DECAY * self.invalid + waste.invalid,
            DECAY * self.within,
            DECAY * self.timed,
            self.promised_ms,
        )

    def timed_by(self, histogram: Histogram, promised_ms: float) -> "Profile":
        """With the latencies of a segment of this pane. Another promise than before is counted from nothing."""
        same = promised_ms == self.promised_ms
        n = sum(histogram.values())
        late = sum(count for k, count in histogram.items() if k > bucket(promised_ms))
        return msgspec.structs.replace(
            self,
            within=(self.within if same else 0.0) + n - late,
            timed=(self.timed if same else 0.0) + n,
            promised_ms=promised_ms,
        )

    def share_within(self, promised_ms: float) -> float | None:
        """Share of the answers that came within ``promised_ms`` (to a percent of it), or None before 20 of them."""
        return self.within / self.timed if promised_ms == self.promised_ms and self.timed >= 20 else None

    @property
    def cost(self) -> float | None:
        """Mean cost of a request (USD), or None before 20 of them."""
        return self.cost_usd / self.cost_n if self.cost_n >= 20 else None

    @property
    def latency(self) -> float | None:
        """Mean latency (ms), or None before 20 requests."""
        return self.latency_ms / self.n if self.n >= 20 else None

    @property
    def mean_quality(self) -> float | None:
        """Mean score, or None before 20 of them."""
        return self.quality / self.scores if self.scores >= 20 else None
