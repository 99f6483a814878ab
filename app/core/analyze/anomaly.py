"""Anomalies: series of the service that look strange in any way the streaming scorer knows (level, liveliness, hour).

Traffic is the logarithm of the request rate. Latency, cost and errors are what is left of the pane after each arm's own
usual value (a memory of about 50 panes) is taken off, weighted by requests: so weights that move and arms that come and
go are no anomaly. The other analyzers know what harm is; this one says that something is new: a warning at most.
"""

import math

import msgspec

from app.core.analyze.finding import Note, Signal
from app.core.analyze.scope import Scope
from app.core.analyze.scorer import Scorer
from app.core.analyze.series import CLEAN_PANES, Excursion, Strange
from app.core.analyze.telling import told
from app.core.analyze.wording import COST, ERRORS, LATENCY, REQUESTS, Metric
from app.core.cell import Cell

WARM = 120
"""Panes before a score counts."""
LONGEST_S = 10_800
"""What lasts so long is no anomaly any more."""
MEMORY = 0.98
LEAST_N = 10
"""Requests of an arm in a pane that count."""
LEAST_THRESHOLD = 5.5
WEIGHT = 0.6
"""The threshold rises by this for every e-fold of series per accepted alarm a week (measured: normal pane series)."""


class Anomaly(msgspec.Struct, frozen=True, array_like=True):
    """State of one service. ``usual``: by arm, logarithms of latency and cost, and the error rate."""

    traffic: Strange = Strange()
    latency: Strange = Strange()
    cost: Strange = Strange()
    errors: Strange = Strange()
    usual: dict[str, tuple[float, float, float]] = {}


def step(state: Anomaly, scope: Scope, arms: dict[str, Cell]) -> tuple[Anomaly, list[Note]]:
    """Add a closed complete pane of a service, by arm."""
    notes: list[Note] = []
    n = sum(cell.n for cell in arms.values())
    rates = {"traffic": (REQUESTS, math.log(max(1, n)), 0.0)}
    usual, left = _left(state.usual, arms)
    rates |= {name: (metric, *left[name]) for name, metric in _METRICS.items() if name in left}
    for name, (metric, x, shown) in rates.items():
        series, said = _score(getattr(state, name), scope, name, metric, x, shown)
        state = msgspec.structs.replace(state, **{name: series})
        notes += said
    return msgspec.structs.replace(state, usual=usual), notes


_METRICS = {"latency": LATENCY, "cost": COST, "errors": ERRORS}


def _left(
    usual: dict[str, tuple[float, float, float]], arms: dict[str, Cell]
) -> tuple[dict[str, tuple[float, float, float]], dict[str, tuple[float, float]]]:
    """What is usual after this pane, and by metric (what is left of it, the usual value it was taken from)."""
    kept, total = dict(usual), 0
    sums, bases = [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]
    for arm in sorted(arms):
        cell = arms[arm]
        if cell.n < LEAST_N or cell.cost_n != cell.n or cell.cost_usd <= 0:
            continue
        now = (cell.log_latency / cell.n, math.log(cell.cost_usd / cell.n), cell.errors / cell.n)
        base = usual.get(arm, now)
        kept[arm] = tuple(MEMORY * b + (1 - MEMORY) * x for b, x in zip(base, now, strict=True))  # type: ignore[assignment]  # three of three
        total += cell.n
        for i in range(3):
            sums[i] += cell.n * (now[i] - base[i])
            bases[i] += cell.n * base[i]
    kept = {arm: kept[arm] for arm in sorted(kept)[:32]}
    if not total:
        return kept, {}
    return kept, {name: (sums[i] / total, bases[i] / total) for i, name in enumerate(_METRICS)}


def _score(
    series: Strange, scope: Scope, name: str, metric: Metric, x: float, base: float
) -> tuple[Strange, list[Note]]:
    key = scope.key(name, "anomaly")  # type: ignore[arg-type]  # the four names are families
    scorer = Scorer.restore(series.packed) if series.packed else Scorer.new()
    scorer.fatigue.threshold = threshold_of(scope)
    scored = scorer.step(float(scope.now_s), x)
    series = msgspec.structs.replace(series, packed=scorer.snapshot(), seen=series.seen + 1)

    def strange(out: Excursion) -> Signal:
        shown = Excursion(out.since_s, base + out.value, base + out.usual)
        times = min(1.9, scored.score / scorer.fatigue.threshold)
        signal = scope.signal("anomaly", key, f"{name}-anomaly", metric, shown, times, score=round(scored.score, 1))
        return msgspec.structs.replace(signal, threshold=scorer.fatigue.threshold)

    if series.out is not None:
        out = _further(series.out, x, scope.now_s)
        series = msgspec.structs.replace(series, out=out)
        return told(series, "cleared" if out is None else "", key, strange)
    if not (scored.alert and series.seen > WARM):
        mean = x if series.seen == 1 else MEMORY * series.mean + (1.0 - MEMORY) * x
        return msgspec.structs.replace(series, mean=mean), []
    return told(msgspec.structs.replace(series, out=Excursion(scope.now_s, x, series.mean)), "raised", key, strange)


def threshold_of(scope: Scope) -> float:
    """The score from which a point is strange, from the budget of false alarms."""
    share = scope.series / scope.document.thresholds.false_alarms_per_week
    return LEAST_THRESHOLD + WEIGHT * math.log(max(1.0, share))


def _further(out: Excursion, x: float, now_s: int) -> Excursion | None:
    """The excursion a pane later; None when it is over."""
    near = abs(x - out.usual) < abs(x - out.value)
    clean = out.clean + 1 if near else 0
    if clean >= CLEAN_PANES or now_s - out.since_s >= LONGEST_S:
        return None
    return msgspec.structs.replace(out, clean=clean)
