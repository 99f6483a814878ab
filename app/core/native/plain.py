"""The types of ``_fold.c`` in Python, for where nothing was compiled; ``_fold.pyi`` says what they are."""

from collections import defaultdict
from typing import Any

MAX_GROUPS = 64

Ids = set[int]
Known = dict[tuple[Any, ...], tuple[Any, Any, Any]]


class Buckets(defaultdict[int, int]):
    """Counts of a log-histogram by bucket."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(int)

    def counts(self) -> dict[int, int]:
        return dict(sorted(self.items()))


class Sums:
    """The sums of one cell."""

    __slots__ = (
        "cached", "changed", "compared", "cost", "cost_sq", "errors", "fingerprint", "groups", "histogram",
        "in_session", "input", "input_cost", "input_sq", "latency", "latency_max", "limited", "limits", "log_latency",
        "log_latency_sq", "n", "output", "own_cost", "quality", "quality_n", "quality_sq", "response_model", "ttft",
        "ttft_n", "unpriced_cached", "unpriced_cached_sq", "unpriced_input", "unpriced_input_cached",
        "unpriced_input_output", "unpriced_input_sq", "unpriced_n", "unpriced_output", "unpriced_output_cached",
        "unpriced_output_sq", "written",
    )  # fmt: skip

    def __init__(self, histogram: Buckets, compared: bool) -> None:
        self.histogram = histogram
        self.compared = compared
        self.changed = False
        self.n = self.errors = self.ttft_n = self.quality_n = self.in_session = 0
        self.input = self.output = self.cached = self.limited = self.limits = self.written = 0
        self.unpriced_n = self.unpriced_input = self.unpriced_output = self.unpriced_cached = 0
        self.unpriced_input_sq = self.unpriced_output_sq = self.unpriced_cached_sq = 0.0
        self.unpriced_input_output = self.unpriced_input_cached = self.unpriced_output_cached = 0.0
        self.input_sq = self.latency = self.latency_max = self.log_latency = self.log_latency_sq = self.ttft = 0.0
        self.cost = self.cost_sq = self.input_cost = self.own_cost = self.quality = self.quality_sq = 0.0
        self.response_model = self.fingerprint = ""
        self.groups: dict[int, list[Any]] = {}

    def add_grouped(
        self,
        number: int,
        log_latency: float,
        status: str,
        cost: float,
        quality: float | None,
        tokens: tuple[int, int, int],
    ) -> None:
        group = self._group(number)
        group[0] += 1
        group[1] += status != "ok"
        group[2] += log_latency
        group[3] += cost
        if quality is not None:
            group[4] += 1
            group[5] += quality
        for at, count in enumerate(tokens, 6):
            group[at] += count

    def score_grouped(self, number: int, quality: float) -> None:
        group = self._group(number)
        group[4] += 1
        group[5] += quality

    def group_sums(self) -> list[tuple[int, tuple[Any, ...]]]:
        return [(number, tuple(group)) for number, group in sorted(self.groups.items())]

    def _group(self, number: int) -> list[Any]:
        group = self.groups.get(number)
        if group is None:
            if not 0 <= number < MAX_GROUPS:
                raise ValueError(f"no such session group: {number}")
            group = self.groups[number] = [0, 0, 0.0, 0.0, 0, 0.0, 0, 0, 0]
        return group


class Marked:
    """What has a newest source offset."""

    __slots__ = ("hwm",)

    hwm: int


class Layout:
    """The loop in C: there is none."""
