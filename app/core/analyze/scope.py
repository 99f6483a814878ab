"""What a step of an analyzer is about: an arm in a segment at one closed pane, the document, and its limits."""

from functools import lru_cache
from math import log2

import msgspec

from app.core.analyze.finding import EVERY, Analyzer, Family, Signal, severity_of
from app.core.analyze.series import Excursion
from app.core.analyze.thresholds import Budget, Thresholds, tuned
from app.core.analyze.wording import Metric, sentence
from app.core.document import ServiceDocument

MAIN_S = 900
DEEP_S = 3600


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """``series``: how many series of the service share its budget of false alarms. ``now_s``: end of the pane.

    ``parts``: the metrics of this arm are watched by segment; then its whole (segment ``*``) watches the rest.
    """

    document: ServiceDocument
    now_s: int
    series: int
    arm: str = EVERY
    segment: str = EVERY
    parts: bool = False

    @property
    def whole(self) -> bool:
        """Whether series that exist once an arm are watched here."""
        return self.segment == EVERY

    @property
    def means(self) -> bool:
        """Whether latency, errors and quality are watched here: by segment where there are segments."""
        return self.parts == (self.segment != EVERY)

    @property
    def main(self) -> bool:
        """The main cadence: this pane ends a quarter of an hour."""
        return self.now_s % MAIN_S == 0

    @property
    def look(self) -> str:
        """The detector that looks at pane series at the main cadence, else ''."""
        return self.detector if self.main else ""

    @property
    def detector(self) -> str:
        """The detector that looks at pane series."""
        return self.document.thresholds.detector

    @property
    def deep(self) -> bool:
        """The deep cadence: this pane ends an hour."""
        return self.now_s % DEEP_S == 0

    def limits(self, n: float = 1.0) -> Thresholds:
        """Thresholds of a series with about ``n`` observations a pane, from the budget of the document."""
        return _limits_at(self.document.thresholds.false_alarms_per_week, self.series // 8, n)

    def key(self, family: Family, rule: str) -> str:
        """The name of a series; begins with its family."""
        return f"{family}|{rule}|{self.arm}|{self.segment}"

    def signal(
        self, analyzer: Analyzer, key: str, kind: str, metric: Metric, out: Excursion, times: float, **more: object
    ) -> Signal:
        """The signal of an excursion that is ``times`` the tolerance (or limit) of its metric."""
        family: Family = key.partition("|")[0]  # type: ignore[assignment]  # every key begins with its family
        value, usual = metric.shown(out.value), metric.shown(out.usual)
        threshold = more.pop("threshold", usual)
        return Signal(
            key=key,
            arm=self.arm,
            segment=self.segment,
            analyzer=analyzer,
            family=family,
            kind=kind,
            metric=metric.name,
            severity=severity_of(times, family),
            value=value,
            compared_with=usual,
            threshold=threshold if isinstance(threshold, float) else usual,
            detail=sentence(metric, self.arm, self.segment, value, usual, fixed=bool(more.pop("fixed", False))),
            evidence={"times_tolerance": round(times, 2), **more},
        )


@lru_cache(maxsize=32_768)
def _limits_at(alarms_per_week: float, eights: int, n: float) -> Thresholds:
    return _limits(alarms_per_week, 8 * (eights + 1), round(2 * log2(max(1.0, n))))


@lru_cache(maxsize=4096)
def _limits(alarms_per_week: float, series: int, half_octave: int) -> Thresholds:
    return tuned(Budget(alarms_per_week=alarms_per_week, series=series), 2.0 ** (half_octave / 2))
