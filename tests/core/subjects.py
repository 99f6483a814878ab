"""Everything the contract is checked on. Inputs are seeded; a rule that is not in here is not checked."""

import math
from functools import partial
from typing import Any

import msgspec
import numpy as np

from app.core.analyze import ring_watch, rings, series
from app.core.cell import Cell, Group, Score, add_cell
from app.core.sketch import Histogram, add, merge_into
from app.core.stats import (
    ab,
    binomial,
    confidence,
    cusum,
    e_detector,
    e_values,
    holm,
    ks,
    moments,
    obrien_fleming,
    psi,
    robust,
    spread,
    two_window,
    within_minute,
)
from app.core.stats.reference import Reference, Sums, with_pane
from app.core.stats.reward import Objective
from app.core.stats.within_minute import Sample
from tests.core.checks import Detector, Merged, Test

NAN, INF, HUGE = math.nan, math.inf, 1e300
RNG = np.random.default_rng(20)


def normal_panes(count: int, n: int = 50, mean: float = 0.0, sd: float = 1.0) -> list[Sums]:
    x = RNG.normal(mean, sd, size=(count, n))
    return [Sums(n, float(row.sum()), float((row * row).sum())) for row in x]


def counts(panes: int, n: int, rate: float) -> list[tuple[float, int]]:
    return [(float(k), n) for k in RNG.binomial(n, rate, size=panes)]


NOISE_PANES = [Sums(), Sums(0, 3.0, 9.0), Sums(5, NAN, 1.0), Sums(5, 1.0, INF), Sums(5, -INF, NAN)]
HOSTILE_PANES = [
    Sums(5, HUGE, HUGE),
    Sums(5, -HUGE, HUGE),
    Sums(1, 1e-300, 0.0),
    Sums(10**12, 0.0, 0.0),
    Sums(2, 1.0, -4.0),
]


# ---- detectors that take more than one argument, or answer in another shape ----
class TwoWindow(msgspec.Struct, frozen=True, array_like=True):
    buckets: tuple[two_window.Bucket, ...] = ()
    sums: moments.ArmSums = moments.ArmSums()
    changed: bool = False


def two_window_update(state: TwoWindow, pane: moments.ArmSums) -> TwoWindow:
    sums = moments.add(state.sums, pane)
    buckets = two_window.pushed(state.buckets, two_window.bucket_of(0, (pane,)))
    at = two_window.changed_since(buckets, (sums,), Objective(quality=1.0, cost=0.0, latency=0.0))
    return TwoWindow(buckets, sums, at is not None)


def scored(panes: list[tuple[float, int]]) -> list[moments.ArmSums]:
    return [moments.ArmSums(n=float(n), scores=float(n), quality=k, quality_sq=k) for k, n in panes]


class RingWatch(msgspec.Struct, frozen=True, array_like=True):
    ring: rings.Ring = rings.Ring()
    alert: rings.Alert | None = None


def ring_update(state: RingWatch, value: float) -> RingWatch:
    ring, alert = rings.watched(rings.pushed(state.ring, value))
    return RingWatch(ring, alert)


def contrast_update(state: within_minute.Contrast, minute: tuple[Sample, Sample]) -> within_minute.Contrast:
    return within_minute.observe(state, *minute)


def contrast_alarm(state: within_minute.Contrast) -> bool:
    d = within_minute.difference(state, bounded=True)
    return abs(d.estimate) > confidence.half_width(d.n, d.variance, 0.001, 400.0, df=d.df)


def minutes(count: int, trial: float, control: float) -> list[tuple[Sample, Sample]]:
    k, c = RNG.binomial(30, trial, size=count).tolist(), RNG.binomial(30, control, size=count).tolist()
    return [(Sample(30, float(a), float(a)), Sample(30, float(b), float(b))) for a, b in zip(k, c, strict=True)]


def ab_look(*rates: float) -> tuple[Sums, tuple[Sums, ...]]:
    control, *arms = (Sums(200, float(k), float(k)) for k in RNG.binomial(200, rates).tolist())
    return control, tuple(arms)


PLAN = obrien_fleming.Plan(n_max=1000.0)

DETECTORS = [
    Detector(
        "cusum", cusum.Cusum, cusum.update, cusum.alarm, normal_panes(60), normal_panes(20, mean=0.5),
        NOISE_PANES, HOSTILE_PANES, Sums(50, 150.0, 450.0), cusum.level,
    ),
    Detector(
        "spread", spread.Spread, spread.update, spread.alarm, normal_panes(60), normal_panes(20, sd=1.5),
        NOISE_PANES, HOSTILE_PANES, Sums(50, 150.0, 450.0), spread.level,
    ),
    Detector(
        "e-detector", e_detector.EDetector, lambda s, x: e_detector.update(s, *x), e_detector.alarm,
        counts(60, 50, 0.1), counts(30, 50, 0.2),
        [(0.0, 0), (NAN, 5), (INF, 5), (-1.0, 5), (6.0, 5)],
        [(0.0, 10**12), (1e12, 10**12), (0.5, 1), (5e-324, 1)], (5.0, 50), e_detector.level,
    ),
    Detector(
        "two windows", TwoWindow, two_window_update, lambda s: s.changed, scored(counts(40, 50, 0.9)),
        scored(counts(20, 50, 0.6)), [moments.ArmSums()], (), moments.ArmSums(n=50.0, scores=50.0, quality=40.0, quality_sq=32.0),
    ),
    Detector(
        "watched mean", series.MeanWatch, lambda s, x: series.step_mean(s, x, 9.0, 0)[0], lambda s: s.out is not None,
        normal_panes(60), normal_panes(20, mean=0.5), NOISE_PANES, HOSTILE_PANES, Sums(50, 150.0, 450.0),
    ),
    Detector(
        "watched rate", series.RateWatch, lambda s, x: series.step_rate(s, x[0], x[1], 1e5, 0)[0], lambda s: s.out is not None,
        counts(60, 50, 0.1), counts(30, 50, 0.25), [(0.0, 0), (NAN, 5), (INF, 5)],
        [(0.0, 10**12), (1e12, 10**12), (0.5, 1), (5e-324, 1), (-1.0, 5), (6.0, 5)], (5.0, 50),
    ),
    Detector(
        "pane series on its ring", ring_watch.RingWatch,
        lambda s, x: ring_watch.step_ring(s, x, 12.0, 0, look="")[0], lambda s: s.out is not None,
        RNG.normal(0.9, 0.05, size=100).tolist(), RNG.normal(1.3, 0.05, size=20).tolist(),
        [NAN, INF, -INF], [HUGE, -HUGE, 0.0, 1e-320], 0.9,
    ),
    Detector(
        "ADWIN on the ring", RingWatch, ring_update, lambda s: s.alert is not None,
        RNG.normal(0.9, 0.01, size=100).tolist(), RNG.normal(0.5, 0.01, size=64).tolist(),
        (), [NAN, INF, HUGE, -HUGE, 0.0], 0.9,
    ),
    *(
        Detector(
            rule, partial(robust.Robust, rule), robust.update, robust.alarm,
            np.clip(RNG.normal(size=100), -2, 2).tolist(), [25.0], (), [NAN, INF, -INF, HUGE, -HUGE, 1e-320], 0.1,
        )
        for rule in ("zscore", "iqr", "mad")
    ),
    Detector(
        "contrast within the minute", within_minute.Contrast, contrast_update, contrast_alarm,
        minutes(60, 0.9, 0.9), minutes(120, 0.6, 0.9), [(Sample(), Sample())],
        [(Sample(), Sample(5, 5.0, 5.0)), (Sample(5, 5.0, 5.0), Sample())], (Sample(30, 27.0, 27.0),) * 2,
    ),
    Detector(
        "A/B", ab.Experiment, lambda s, x: ab.update(s, *x), ab.alarm,
        [ab_look(0.8, 0.8, 0.8) for _ in range(20)], [ab_look(0.8, 0.8, 0.95) for _ in range(20)],
        [(Sums(5, NAN, 0.0), (Sums(), Sums()))],
        [(Sums(), (Sums(), Sums())), (Sums(9, HUGE, HUGE), (Sums(9, -HUGE, HUGE), Sums(1, 1.0, 1.0)))],
        (Sums(200, 200.0, 200.0), (Sums(200, 200.0, 200.0), Sums(200, 200.0, 200.0))),
    ),
    Detector(
        "O'Brien-Fleming", lambda: obrien_fleming.Looks(bound=8.0), lambda s, x: obrien_fleming.update(s, PLAN, *x),
        obrien_fleming.alarm, [(100.0, 1.0), (300.0, -1.5), (500.0, 0.2)], [(700.0, 3.0), (900.0, 3.5)],
        [(NAN, 1.0), (800.0, NAN), (0.0, 9.0), (-5.0, 9.0)], [(INF, INF), (650.0, 1e300), (651.0, -INF)], (500.0, 0.0),
    ),
]  # fmt: skip

# ---- tests of one call ----
SORTED = tuple(np.sort(RNG.normal(size=200)).tolist())
ALIKE, SHIFTED = RNG.normal(size=100).tolist(), RNG.normal(2.0, 1.0, size=100).tolist()


def ks_p(reference: tuple[float, ...], sample: list[float]) -> float:
    return ks.test(reference, sample).p_value


def ks_counts_p(reference: Histogram, sample: Histogram) -> float:
    return ks.test_counts(reference, sample).p_value


def psi_p(reference: list[int], sample: list[int]) -> float:
    return psi.test(reference, sample).p_value


def holm_p(p_values: list[float]) -> float:
    return min(holm.adjusted(p_values), default=1.0)


def e_bh_p(given: list[float]) -> float:
    return 0.0 if any(e_values.e_bh(given, 0.001)) else 1.0


def histogram(values: list[float]) -> Histogram:
    counted: Histogram = {}
    for value in values:
        add(counted, math.exp(value))
    return counted


TESTS = [
    Test(
        "KS", ks_p, [(SORTED, ALIKE), (SORTED, list(SORTED))], [(SORTED, SHIFTED), ((0.0,) * 50, [1.0] * 50)],
        [((), ALIKE), (SORTED, []), (SORTED, [NAN, NAN])], (),
        [(SORTED, [INF, -INF]), (SORTED, [HUGE]), ((1.0,) * 99, [1.0] * 99), ((INF,), [INF])],
    ),
    Test(
        "KS of histograms", ks_counts_p, [(histogram(list(SORTED)), histogram(ALIKE))],
        [(histogram(list(SORTED)), histogram(SHIFTED))], [({}, {1: 3}), ({1: 3}, {})], (), [({1: 10**12}, {1: 1})],
    ),
    Test(
        "PSI", psi_p, [([50, 50, 50], [10, 9, 11]), ([7, 7], [7, 7])], [([100, 100, 100], [100, 10, 100])],
        [([], []), ([5], [5]), ([0, 0], [1, 1]), ([1, 1], [0, 0])],
        [([1, 2], [1, 2, 3]), ([1, -2], [1, 2])], [([0, 0, 10**15], [10**15, 0, 0])],
    ),
    Test(
        "Holm", holm_p, [([0.2, 0.3],), ([0.001, 0.9, 0.9],)], [([1e-5, 0.5],)], [([],), ([1.0, 1.0],)],
        [([-0.1],), ([1.1],), ([NAN],)],
    ),
    Test("e-BH", e_bh_p, [([1.0, 5.0],)], [([1.0, 1e5],)], [([],), ([0.0, 0.0],)], [([-1.0],), ([NAN],)], [([INF, 0.0],)]),
    Test(
        "binomial", binomial.two_sided, [(5, 10, 0.5)], [(90, 100, 0.5)], [(0, 0, 0.5)],
        [(3, 2, 0.5), (1, 2, 1.5), (-1, 2, 0.5)], [(0, 10**7, 1e-9)],
    ),
    Test(
        "confidence sequence", lambda estimate, n, variance: confidence.p_value(estimate, n, variance, 0.05, 400.0),
        [(0.001, 100.0, 0.2)], [(0.5, 1000.0, 0.2)], [(1.0, 0.0, 0.2), (0.0, 100.0, 0.0)], (),
        [(HUGE, 1.0, 1.0), (1.0, HUGE, 1e-300), (0.0, 1.0, INF)],
    ),
]  # fmt: skip


# ---- sums ----
def merged_histograms(a: Histogram, b: Histogram) -> Histogram:
    total: Histogram = dict(a)
    merge_into(total, b)
    return total


def merged_cells(a: Cell, b: Cell) -> Cell:
    total = msgspec.msgpack.decode(msgspec.msgpack.encode(a), type=Cell)
    add_cell(total, b)
    return total


def cell(k: int) -> Cell:
    return Cell(
        n=k, errors=1, latency_ms=0.5 * k, latency_ms_max=float(k), log_latency=0.25 * k, cost_n=k, cost_usd=0.125 * k,
        quality={"judge": Score(k, 0.5 * k, 0.25 * k), f"user{k}": Score(1, 1.0, 1.0)}, groups={k: Group(n=1), 9: Group(n=k)},
    )  # fmt: skip


def reference(k: int) -> Reference:
    return with_pane(Reference(), Sums(4, 2.0 * k, 1.0 * k * k))


def plus(a: Any, b: Any) -> Any:
    return a + b


SUMS = [
    Merged("pane sums", plus, [Sums(3, 1.5, 0.75), Sums(1, -2.0, 4.0), Sums(2, 0.25, 8.0)], Sums()),
    Merged("reference", plus, [reference(k) for k in (1, 3, 8)], Reference()),
    Merged("arm sums", moments.add, [moments.ArmSums(*(0.5 * k * i for i in range(11))) for k in (1, 2, 5)], moments.ArmSums()),
    Merged(
        "slice samples", within_minute.add,
        [Sample(2, 1.5, 2.0, ((1, 1, 0.5), (4, 1, 1.0))), Sample(1, 1.0, 1.0, ((4, 1, 1.0),)), Sample(1, 0.5, 0.25, ((0, 1, 0.5),))],
        Sample(),
    ),
    Merged("histograms", merged_histograms, [{1: 2, 5: 1}, {5: 7}, {-3: 1, 900: 4}], {}),
    Merged("cells", merged_cells, [cell(k) for k in (1, 2, 4)], Cell()),
]  # fmt: skip
