"""Quantiles after merging 100 shards (STATISTICS 7), and what KS and PSI call a change when there is none."""

import time

import numpy as np

from app.core import sketch
from app.core.stats import ks, psi
from benchmarks.calibrate.report import Effort, Table, judged, mapped, percent

SHARDS, PER_SHARD = 100, 10_000
LEVELS = (0.5, 0.9, 0.95, 0.99, 0.999)


def shapes(rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    """Latencies in ms."""
    return {
        "lognormal, sigma .6": rng.lognormal(6.5, 0.6, n),
        "lognormal, sigma 1.5": rng.lognormal(6.5, 1.5, n),
        "two modes, 200 and 5,000 ms": np.where(rng.random(n) < 0.8, rng.normal(200, 20, n), rng.normal(5000, 400, n)),
        "Pareto 1.5": 100 * (1 + rng.pareto(1.5, n)),
    }


def counted(values: np.ndarray) -> sketch.Histogram:
    """A histogram of many values at once, by the buckets of `app.core.sketch`."""
    k, n = np.unique(_buckets(values), return_counts=True)
    return dict(zip(k.tolist(), n.tolist(), strict=True))


def _buckets(values: np.ndarray) -> np.ndarray:
    k = np.log(values)
    k *= 1 / np.log(sketch.GAMMA)
    return np.ceil(k, out=k).astype(np.int32)


def quantile_table(effort: Effort) -> Table:
    """Largest relative error of the merged histogram at every level."""
    del effort
    rng, lines = np.random.default_rng(9), []
    for name, values in shapes(rng, SHARDS * PER_SHARD).items():
        merged: sketch.Histogram = {}
        for shard in np.split(values, SHARDS):
            sketch.merge_into(merged, counted(shard))
        single: sketch.Histogram = {}
        for x in values[:2000].tolist():
            sketch.add(single, x)
        if single != counted(values[:2000]):
            raise RuntimeError(f"{name}: a batch does not fill the buckets that single values fill")
        ordered = np.sort(values)
        errors = [abs(sketch.quantile(merged, q) / ordered[int(np.ceil(q * len(values))) - 1] - 1) for q in LEVELS]
        shown = tuple(percent(error, 0.01, digits=2) for error in errors)
        lines.append((name, *shown, judged(len(sketch.pack(merged)), 1024, "{:.0f}")))
    return Table(
        "Quantiles after merging 100 shards",
        f"{SHARDS} shards of {PER_SHARD:,} values, seed 9; relative error against the exact nearest rank.",
        ("latencies", *(f"p{100 * q:g}" for q in LEVELS), "bytes packed"),
        tuple(lines),
        (f"Counting in batches with numpy: {_speed():.0f} M values a second on one core; merging is addition, "
         f"so the order "
         "of shards cannot matter.",),
    )  # fmt: skip


def _speed() -> float:
    values = np.random.default_rng(1).lognormal(6.5, 0.6, 1_000_000)
    seconds = []
    for _ in range(5):
        start = time.process_time()
        k = _buckets(values)
        np.bincount(k - k.min())
        seconds.append(time.process_time() - start)
    return len(values) / min(seconds) / 1e6


# ---- two samples ----
REFERENCE = 1000


def two_sample(n: int, shift: float, seed: int) -> tuple[float, float]:
    """p-values of KS and of PSI (ten bins cut by the reference) for one sample of ``n``."""
    rng = np.random.default_rng([10, n, seed])
    reference = np.sort(rng.normal(size=REFERENCE)).tolist()
    sample = (rng.normal(size=n) + shift).tolist()
    cut = psi.edges(reference)
    return ks.test(reference, sample).p_value, psi.test(psi.counts(cut, reference), psi.counts(cut, sample)).p_value


def two_sample_table(effort: Effort) -> Table:
    """Share of samples called different at 5, 1 and .1 %, and found after a shift."""
    lines, replicates = [], effort.replicates(4000)
    for n in (50, 200, 1000):
        same = np.array(mapped(effort, two_sample, [(n, 0.0, seed) for seed in range(replicates)]))
        moved = np.array(mapped(effort, two_sample, [(n, 0.3, seed) for seed in range(replicates // 4)]))
        for i, rule in enumerate(("KS", "PSI, 10 bins")):
            found = [float((same[:, i] <= alpha).mean()) for alpha in (0.05, 0.01, 0.001)]
            limit = ks.critical(0.001, n, REFERENCE) if i == 0 else psi.critical(0.001, n, REFERENCE)
            lines.append((
                rule, f"{n}", f"{limit:.3f}",
                judged(100 * found[0], 6.0, "{:.1f} %"), judged(100 * found[1], 1.5, "{:.2f} %"),
                judged(100 * found[2], 0.25, "{:.2f} %"), percent(float((moved[:, i] <= 0.001).mean()), digits=0),
            ))  # fmt: skip
    return Table(
        "Two samples: KS and PSI",
        f"Reference of {REFERENCE:,}, {replicates} samples a row (seeds 0..), N(0,1). Goals are the level and "
        f"the error of "
        "so many samples.",
        ("test", "n", "critical value at .1 %", "false at 5 %", "at 1 %", "at .1 %", "shift of .3 sd found at .1 %"),
        tuple(lines),
        ("A fixed PSI limit of .1 or .25 would call a false change in most samples of 50 and miss real ones "
         "in large ones.",),
    )  # fmt: skip
