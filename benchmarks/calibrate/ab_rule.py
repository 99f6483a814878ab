"""A/B under continuous watching: false differences, power, requests to decide, many challengers (STATISTICS 4)."""

import numpy as np
from scipy.special import ndtr

from app.core.stats import ab, obrien_fleming
from app.core.stats.reference import Sums
from benchmarks.calibrate.report import Effort, Table, judged, mapped, percent

LOOK = 100
LONGEST = 50_000
POWER_BY = 10_000
BASE, LIFT = 0.8, 0.04  # 5 % of .8
RULE = ab.Rule()
FIXED_N = 7.849 * (0.8 * 0.2 + 0.84 * 0.16) / LIFT**2  # 80 % power at .05
OBF_LOOKS = 20


def _draw(rng: np.random.Generator, rates: tuple[float, ...], looks: int, size: int = LOOK) -> np.ndarray:
    return rng.binomial(size, rates, size=(looks, len(rates)))


def watched(rates: tuple[float, ...], seed: int, longest: int = LONGEST) -> tuple[int, tuple[float, ...], int]:
    """(n per arm at the first decision or 0, estimates of what was decided then, n at the first e-BH discovery)."""
    rng = np.random.default_rng([4, len(rates), seed])
    state, found, signs, discovery = ab.Experiment(), 0, (), 0
    for i, counts in enumerate(_draw(rng, rates, longest // LOOK).tolist()):
        control, *arms = (Sums(LOOK, float(k), float(k)) for k in counts)
        state = ab.update(state, control, tuple(arms), RULE)
        if not found and ab.alarm(state, RULE):
            found = (i + 1) * LOOK
            signs = tuple(c.estimate for c in ab.compared(state, RULE) if c.decided)
        if len(rates) > 2 and not discovery and i % 5 == 4 and any(ab.discoveries(state, RULE)):
            discovery = (i + 1) * LOOK
        if found and (len(rates) == 2 or discovery):
            break
    return found, signs, discovery


def skewed(seed: int, sigma: float = 1.0) -> int:
    """The same on lognormal costs without a difference."""
    rng = np.random.default_rng([6, seed])
    rule, state = ab.Rule(bounded=False), ab.Experiment()
    for i in range(LONGEST // LOOK):
        x = rng.lognormal(0.0, sigma, size=(2, LOOK))
        control, arm = (Sums(LOOK, float(row.sum()), float((row * row).sum())) for row in x)
        state = ab.update(state, control, (arm,), rule)
        if ab.alarm(state, rule):
            return (i + 1) * LOOK
    return 0


def planned(rates: tuple[float, float], n_max: int, seed: int) -> tuple[int, float]:
    """(n per arm at which O'Brien-Fleming stopped or 0, z there) with equally spaced looks."""
    rng = np.random.default_rng([7, seed])
    plan, state, size = obrien_fleming.Plan(n_max), obrien_fleming.Looks(), n_max // OBF_LOOKS
    for i, total in enumerate(np.cumsum(_draw(rng, rates, OBF_LOOKS, size), axis=0).tolist()):
        n = (i + 1) * size
        p, q = total[0] / n, total[1] / n
        z = (q - p) / np.sqrt((p * (1 - p) + q * (1 - q)) / n)
        state = obrien_fleming.update(state, plan, n, float(z))
        if obrien_fleming.alarm(state):
            return n, float(z)
    return 0, 0.0


def naive(replicates: int, arms: int) -> tuple[float, float, float]:
    """Share of experiments without a difference that z p < .05 (from 1,000), Bayes P(B > A) > .95, and the best of
    the arms at one look (10,000) call different.
    """
    rng = np.random.default_rng(8)
    total = np.cumsum(rng.binomial(LOOK, BASE, size=(replicates, LONGEST // LOOK, 2)), axis=1)
    n = LOOK * np.arange(1, LONGEST // LOOK + 1)
    p = (total + 1) / (n[:, None] + 2)
    z = (p[..., 1] - p[..., 0]) / np.sqrt((p * (1 - p)).sum(axis=2) / n)
    many = rng.binomial(POWER_BY, BASE, size=(replicates, arms + 1)) / POWER_BY
    best = (many[:, 1:].max(axis=1) - many[:, 0]) / np.sqrt(2 * BASE * (1 - BASE) / POWER_BY)
    return (
        float((np.abs(z[:, 9:]) > 1.96).any(axis=1).mean()),
        float((np.abs(ndtr(z) - 0.5) > 0.45).any(axis=1).mean()),
        float((best > 1.0).mean()),
    )


def ab_table(effort: Effort) -> Table:
    """One challenger."""
    null, lift = effort.replicates(2000), effort.replicates(2000)
    same = mapped(effort, watched, [((BASE, BASE), seed) for seed in range(null)])
    better = mapped(effort, watched, [((BASE, BASE + LIFT), seed, POWER_BY) for seed in range(lift)])
    tails = mapped(effort, skewed, [(seed,) for seed in range(effort.replicates(400))])
    stops = np.sort([n or np.inf for n, *_ in better])
    eighty = float(stops[int(0.8 * lift)])
    wrong = sum(any(s < 0 for s in signs) for _, signs, _ in better) / lift
    obf_null = mapped(effort, planned, [((BASE, BASE), LONGEST, seed) for seed in range(effort.replicates(4000))])
    n_max = OBF_LOOKS * round(1.02 * FIXED_N / OBF_LOOKS)
    obf = mapped(effort, planned, [((BASE, BASE + LIFT), n_max, seed) for seed in range(effort.replicates(4000))])
    big = mapped(effort, planned, [((BASE, BASE + LIFT), POWER_BY, seed) for seed in range(effort.replicates(1000))])
    z, bayes, _ = naive(null, 7)
    return Table(
        "A/B: one challenger under continuous watching",
        f"Bernoulli {BASE}, a look every {LOOK} an arm to {LONGEST:,}; {null} experiments a row (seeds 0..), "
        f"O'Brien-Fleming "
        f"{effort.replicates(4000)}. The fixed test of 80 % power needs {FIXED_N:.0f} an arm.",
        ("rule", "false differences", "+5 % found by 10,000", "n for 80 % found / fixed n", "wrong sign"),
        (
            ("z with p < .05 from 1,000 on (not ours)", percent(z), "", "", ""),
            ("Bayes P(B > A) or P(A > B) > .95 (not ours)", percent(bayes), "", "", ""),
            (
                f"confidence sequence, n* = {RULE.n_star:,.0f}",
                percent(sum(n > 0 for n, *_ in same) / null, 0.05),
                percent(sum(n > 0 for n, *_ in better) / lift, 0.99, at_least=True),
                judged(eighty / FIXED_N, 1.8, "{:.2f}"),
                percent(wrong, 0.002, digits=2),
            ),
            (
                "the same on lognormal costs, sigma 1",
                percent(sum(n > 0 for n in tails) / len(tails), 0.05), "", "", "",
            ),
            (
                f"O'Brien-Fleming, {OBF_LOOKS} looks",
                percent(sum(n > 0 for n, _ in obf_null) / len(obf_null), 0.055),
                percent(sum(n > 0 for n, _ in big) / len(big), 0.99, at_least=True),
                f"{np.mean([n or n_max for n, _ in obf]) / FIXED_N:.2f} on average, {n_max / FIXED_N:.2f} at most "
                f"({percent(sum(n > 0 for n, _ in obf) / len(obf))} found)",
                percent(sum(z < 0 for _, z in obf) / len(obf), 0.002, digits=2),
            ),
        ),
        ("O'Brien-Fleming needs the maximum before it starts; the confidence sequence needs nothing and never "
         "has to end.",
         "O'Brien-Fleming spends exactly 5 %, so its goal leaves room for the error of this simulation."),
    )  # fmt: skip


def many_table(effort: Effort) -> Table:
    """Seven challengers."""
    n = effort.replicates(400)
    same = mapped(effort, watched, [((BASE,) * 8, seed) for seed in range(n)])
    one = mapped(effort, watched, [((BASE,) * 7 + (BASE + LIFT,), seed, POWER_BY) for seed in range(n)])
    *_, best = naive(4000, 7)
    return Table(
        "A/B: seven challengers",
        f"As above, {n} experiments a row (seeds 0..). e-BH is read every 500 an arm.",
        ("rule", "any false difference", "one challenger +5 %: decided by 10,000"),
        (
            ("best of seven by its point estimate, one standard error ahead (not ours)", percent(best), ""),
            ("Holm on always-valid p-values", percent(sum(f > 0 for f, *_ in same) / n, 0.05),
             percent(sum(f > 0 for f, *_ in one) / n, 0.99, at_least=True)),
            ("e-BH", percent(sum(d > 0 for *_, d in same) / n, 0.05), percent(sum(d > 0 for *_, d in one) / n)),
        ),
    )  # fmt: skip
