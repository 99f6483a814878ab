"""What an engine wrote, held against the exact answer."""

from collections.abc import Iterable

import msgspec

from benchmarks.bench.topic import Filled, Pane

SUM_ERROR, QUANTILE_ERROR = 1e-9, 0.02


class Written(msgspec.Struct, frozen=True):
    """One record of the contract."""

    service: str
    model: str
    window: int
    start: int
    count: int
    errors: int
    latency_sum: float
    cost_sum: float
    tokens_sum: int
    latency_max: float
    latency_p95: float

    @property
    def name(self) -> tuple[int, str]:
        return self.window, f"{self.service}|{self.model}|{self.start}"


class Verdict(msgspec.Struct, frozen=True):
    """Panes expected, and what is wrong with those written."""

    panes: int
    missing: int
    wrong: int
    conflicting: int
    unexpected: int
    repeated: int

    @property
    def right(self) -> bool:
        return not (self.missing or self.wrong or self.conflicting or self.unexpected)


_read = msgspec.json.Decoder(Written).decode


def read(values: Iterable[bytes], filled: Filled) -> list[Written]:
    """The records that are not of the closing words."""
    return [record for record in map(_read, values) if record.start < filled.close_from_s - 3600]


def judge(records: Iterable[Written], filled: Filled, sizes_s: Iterable[int]) -> Verdict:
    """Equal repeats are what at-least-once means; everything else must be there once and right."""
    expected = {(size, name): pane for size in sizes_s for name, pane in filled.panes[size].items()}
    found: dict[tuple[int, str], Written] = {}
    repeated = conflicting = 0
    for record in records:
        known = found.setdefault(record.name, record)
        if known is not record:
            repeated += 1
            conflicting += known != record
    wrong = sum(not _right(found[name], pane) for name, pane in expected.items() if name in found)
    missing = len(expected.keys() - found.keys())
    return Verdict(len(expected), missing, wrong, conflicting, len(found.keys() - expected.keys()), repeated)


def _right(record: Written, pane: Pane) -> bool:
    exact = (record.count, record.errors, record.tokens_sum, record.latency_max)
    sums = ((record.latency_sum, pane.latency_sum), (record.cost_sum, pane.cost_sum))
    return (
        exact == (pane.count, pane.errors, pane.tokens_sum, pane.latency_max)
        and all(abs(got - true) <= SUM_ERROR * max(true, 1e-9) for got, true in sums)
        and abs(record.latency_p95 - pane.latency_p95) <= QUANTILE_ERROR * pane.latency_p95
    )
