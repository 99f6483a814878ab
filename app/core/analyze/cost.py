"""Cost of an arm: the price of the same tokens, cost per request, and what was paid for in vain.

A changed price is told at once, a cost per request that moved as a pane series, waste once an hour.
"""

from math import exp, log, log1p

import msgspec

from app.core.analyze.finding import Family, Note, Severity, Signal, severity_of
from app.core.analyze.flag import Flag, raised
from app.core.analyze.ring_watch import LIMIT_N, RingWatch, enough, step_sums
from app.core.analyze.scope import Scope
from app.core.analyze.series import IDLE, NEW_NORMAL_S, Excursion
from app.core.analyze.telling import BACK, told
from app.core.analyze.unit_price import Line, learned, off
from app.core.analyze.wording import COST, UNIT_PRICE
from app.core.cell import Cell, Waste, add_waste

WORTH = 0.5
PRICE_LEAST = 0.02
"""A price that moved less is not told."""
LIMIT_PANES = 3
"""Panes in a row above the fixed limit before it is told."""
WASTE_N = 100
WASTE_LEAST = {"retries": 0.05, "invalid": 0.05, "repeats": 0.2, "limits": 8.0}
"""From where each is told (share of the answers of an hour; limits: times what is written), until below half of it."""


class Hour(msgspec.Struct, frozen=True, array_like=True):
    """Sums of the hour so far."""

    n: int = 0
    usd: float = 0.0
    waste: Waste | None = None


class Cost(msgspec.Struct, frozen=True, array_like=True):
    """State of one arm."""

    line: Line = Line()
    price: Flag = Flag()
    ring: RingWatch = RingWatch()
    limit: Flag = Flag()
    hour: Hour = Hour()
    flags: dict[str, Flag] = {}


def step(state: Cost, scope: Scope, cell: Cell) -> tuple[Cost, list[Note]]:
    """Add a closed complete pane of an arm."""
    if not cell.n:
        return state, []
    state, notes = _price(state, scope, cell)
    if cell.cost_n and cell.cost_usd > 0:
        state, said = _per_request(state, scope, cell.cost_n, cell.cost_usd / cell.cost_n)
        notes += said
    state, said = _wasted(state, scope, cell)
    return state, notes + said


def _price(state: Cost, scope: Scope, cell: Cell) -> tuple[Cost, list[Note]]:
    found = off(state.line, cell)
    if found is None:
        return msgspec.structs.replace(state, line=learned(state.line, cell)), []
    changed = abs(found.z) >= scope.limits().z and abs(found.ratio - 1.0) >= PRICE_LEAST
    if not changed and state.price.told < 0:
        return msgspec.structs.replace(state, line=learned(state.line, cell)), []
    key = scope.key("cost", "price")
    if state.price.since_s and scope.now_s - state.price.since_s >= NEW_NORMAL_S:
        flag, notes = raised(state.price, key, None, scope.now_s, clean=0, why="the new price is usual after a day")
        return msgspec.structs.replace(state, line=Line(), price=flag), notes
    signal = None
    if changed:
        times = (found.ratio - 1.0) / max(scope.document.guardrails.cost.tolerance, 1e-9)
        out = Excursion(scope.now_s, found.ratio, 1.0)
        signal = scope.signal("cost", key, "price-change", UNIT_PRICE, out, times, z=round(found.z, 1))
    flag, notes = raised(state.price, key, signal, scope.now_s, why=BACK)
    return msgspec.structs.replace(state, price=flag), notes


def _per_request(state: Cost, scope: Scope, n: int, cost_usd: float) -> tuple[Cost, list[Note]]:
    tolerance, notes = scope.document.guardrails.cost.tolerance, list[Note]()

    def dearer(out: Excursion) -> Signal | None:
        times = (exp(min(50.0, out.value - out.usual)) - 1.0) / max(tolerance, 1e-9)
        key = scope.key("cost", "request")
        return scope.signal("cost", key, "cost-rise", COST, out, times) if times >= WORTH else None

    idle = log1p(IDLE * WORTH * tolerance)
    ring, moved = step_sums(
        state.ring, n, n * cost_usd, n, enough(tolerance), scope.limits(LIMIT_N).cusum,
        scope.now_s, look=scope.look, above=idle, below=idle, name=scope.detector,
    )  # fmt: skip
    if moved:
        ring, notes = told(ring, moved, scope.key("cost", "request"), dearer)
    state = msgspec.structs.replace(state, ring=ring)
    most = scope.document.thresholds.cost_usd_per_request
    if most is None:
        return state, notes
    at_key, signal = scope.key("cost", "limit"), None
    if cost_usd > most:
        out = Excursion(scope.now_s, log(cost_usd), log(most))
        signal = scope.signal("cost", at_key, "cost-limit", COST, out, cost_usd / most, fixed=True)
    flag, said = raised(state.limit, at_key, signal, scope.now_s, after=LIMIT_PANES, why="it is inside its limit")
    return msgspec.structs.replace(state, limit=flag), notes + said


# ---- waste: once an hour ----
def _wasted(state: Cost, scope: Scope, cell: Cell) -> tuple[Cost, list[Note]]:
    waste = state.hour.waste
    if cell.waste is not None:
        waste = Waste(*msgspec.structs.astuple(waste or Waste()))
        add_waste(waste, cell.waste)
    hour = Hour(state.hour.n + cell.n, state.hour.usd + cell.cost_usd, waste)
    if not scope.deep:
        return msgspec.structs.replace(state, hour=hour), []
    notes: list[Note] = []
    flags = dict(state.flags)
    if hour.n >= WASTE_N:
        for name, share, usd in _shares(hour):
            least = WASTE_LEAST[name]
            known = flags.get(name, Flag())
            holds = share >= (0.5 * least if known.told >= 0 else least)
            signal = _waste(scope, name, share, least, usd, hour) if holds else None
            flags[name], said = raised(
                known, scope.key("waste", name), signal, scope.now_s, clean=1, why="the hour had little of it"
            )
            notes += said
    return msgspec.structs.replace(state, hour=Hour(), flags={k: f for k, f in flags.items() if f.told >= 0}), notes


def _shares(hour: Hour) -> list[tuple[str, float, float]]:
    """(what, share of the answers, USD)."""
    w = hour.waste or Waste()
    return [
        ("retries", w.retries / hour.n, w.retries_usd),
        ("invalid", w.invalid / hour.n, w.invalid_usd),
        ("repeats", w.repeats / max(w.hashed, WASTE_N), w.repeats_usd),
        ("limits", w.limits / w.written if w.limited >= WASTE_N and w.written else 0.0, 0.0),
    ]


_SAID = {
    "retries": "{share:.0%} of the answers of {arm} in this hour were retries of earlier requests: {usd:.4g} USD.",
    "invalid": "{share:.0%} of the answers of {arm} in this hour were not the JSON they should be: {usd:.4g} USD.",
    "repeats": "{share:.0%} of the prompts of {arm} in this hour had been answered in the same minute: {usd:.4g} USD.",
    "limits": "The token limits of {arm} are {share:.0f} times what it writes.",
}


def _waste(scope: Scope, name: str, share: float, least: float, usd: float, hour: Hour) -> Signal:
    family: Family = "waste"
    severity: Severity = "info" if name == "limits" else severity_of(min(1.9, share / least), family)
    return Signal(
        key=scope.key(family, name),
        arm=scope.arm,
        segment=scope.segment,
        analyzer="cost",
        family=family,
        kind=f"waste-{name}",
        metric=name,
        severity=severity,
        value=share,
        compared_with=least,
        threshold=least,
        detail=_SAID[name].format(share=share, arm=scope.arm, usd=usd),
        evidence={"answers": hour.n, "cost_usd": hour.usd, "wasted_usd": usd},
    )
