"""What the optimizer saved, proven against a frozen baseline: the logged weights are the propensities (STATISTICS 6).

Every request has a known probability of getting each arm: p_k = (1 - h) w_k, plus h for the baseline b (w: shares
outside the holdout, h: holdout share). With c_b = 1 - w_b, c_k = -w_k and m_k(x) the regression of cost on input tokens
fitted on earlier minutes, the augmented inverse-propensity number of a request answered by A at cost Y,

    Z = sum_k c_k m_k(x) + c_A (Y - m_A(x)) / p_A

has the saving per request (baseline minus router) as its mean (Robins, Rotnitzky, Zhao, 1994; Hadad et al., 2021).
Weights are constant within a version, so Z is u + v x + g y there and its sums follow from the cells. The interval is
the normal-mixture confidence sequence of ``stats.confidence``: valid however often one looks. The claim is about the
past period. With sticky sessions Z is also summed by session group: the variance between groups says how many times
less such requests tell than independent ones, and the interval and the burn-in count by that (``stats.clustered``).
Units: USD, tokens.
"""

import math

import msgspec

from app.core.cell import Cell
from app.core.propensity import Shares
from app.core.stats.clustered import FEWEST, Grouped, design_effect
from app.core.stats.confidence import half_width

BURN_IN = 100
"""Holdout requests before anything is proven."""
FIT_MIN = 20
"""Requests an arm needs for a regression of its own; holdout requests before regressions are used at all."""
N_STAR = 1000.0
"""Holdout requests at which the interval is tightest."""
UNGROUPED = 0.05
"""Share of the session requests that may come without a session group."""


class Moments(msgspec.Struct, frozen=True, array_like=True):
    """Sums of one arm's earlier requests: x = input tokens, y = cost."""

    n: float = 0.0
    x: float = 0.0
    y: float = 0.0
    xx: float = 0.0
    yy: float = 0.0
    xy: float = 0.0

    def __add__(self, other: "Moments") -> "Moments":
        a, b = self, other
        return Moments(a.n + b.n, a.x + b.x, a.y + b.y, a.xx + b.xx, a.yy + b.yy, a.xy + b.xy)

    @property
    def line(self) -> tuple[float, float]:
        """Intercept and slope of cost on input tokens; a flat line without enough spread."""
        if self.n <= 0:
            return 0.0, 0.0
        spread = self.xx - self.x * self.x / self.n
        slope = (self.xy - self.x * self.y / self.n) / spread if spread > 1e-9 * max(1.0, self.xx) else 0.0
        return (self.y - slope * self.x) / self.n, slope

    @property
    def residual_variance(self) -> float:
        """Variance of the cost around the line."""
        if self.n <= 2:
            return 0.0
        a, b = self.line
        square = self.yy - 2 * a * self.y - 2 * b * self.xy + self.n * a * a + 2 * a * b * self.x + b * b * self.xx
        return max(0.0, square / self.n)


def moments_of(cell: Cell) -> Moments:
    """The sums of a cell all of whose requests have a cost; nothing otherwise (they cannot be told apart)."""
    if cell.cost_n != cell.n:
        return Moments()
    return Moments(
        float(cell.n), float(cell.input_tokens), cell.cost_usd, cell.input_tokens_sq, cell.cost_sq, cell.input_cost
    )


class Answered(msgspec.Struct, frozen=True):
    """The requests of one (version, segment, arm) in a minute; ``held`` those of the holdout slice among them.

    ``rest_groups``, ``held_groups``: (session group, requests, input tokens, cost) of those that belong to a session.
    """

    shares: Shares
    segment: str
    arm: str
    rest: Moments
    held: Moments
    rest_groups: tuple["InGroup", ...] = ()
    held_groups: tuple["InGroup", ...] = ()


InGroup = tuple[int, float, float, float]


def groups_of(cell: Cell) -> tuple[InGroup, ...]:
    """What a costed cell knows of its sessions, by group; nothing of a cell without sessions."""
    if not cell.in_session:
        return ()
    return tuple((g, float(s.n), float(s.input_tokens), s.cost) for g, s in sorted(cell.groups.items()) if s.n)


class Savings(msgspec.Struct, frozen=True, array_like=True):
    """State: earlier requests by arm, and the sums of Z over ``n`` requests of which ``held`` were the holdout's.

    ``guard``: sum of c_b^2 / p_b; ``uncosted``: requests left out because some of their cell had no cost;
    ``in_session``: requests that belonged to a session. ``own_cost``: what judging and shadowing cost (USD).
    ``holdout``: the share when counting began; it fixes the shape of the interval, so a later change cannot move it.
    ``groups``: Z by session group. ``incomplete``: requests of minutes in which a source was missing, left out.
    """

    arms: dict[str, Moments] = {}
    n: float = 0.0
    z: float = 0.0
    zz: float = 0.0
    guard: float = 0.0
    held: float = 0.0
    held_cost: float = 0.0
    rest_cost: float = 0.0
    uncosted: int = 0
    in_session: int = 0
    since_s: int = 0
    said_s: int = 0
    own_cost: float = 0.0
    holdout: float = 0.0
    groups: Grouped = Grouped()
    incomplete: int = 0


class Estimate(msgspec.Struct, frozen=True):
    """Saving per request (USD) with its always-valid interval; ``why_not`` says what a proof lacks.

    ``session_effect``: requests that tell as much as one independent one; 1 without sticky sessions.
    """

    requests: int
    holdout_requests: int
    saving: float
    low: float | None
    high: float | None
    baseline_mean: float | None
    proven: bool
    why_not: str
    session_effect: float | None = 1.0


def add_minute(savings: Savings, answered: list[Answered]) -> Savings:
    """Add the requests of one closed minute, each with a probability above 0; regressions are of the minutes before."""
    arms = dict(savings.arms)
    n, z, zz, guard = savings.n, savings.z, savings.zz, savings.guard
    held, held_cost, rest_cost = savings.held, savings.held_cost, savings.rest_cost
    holdout = savings.holdout or next((one.shares.holdout for one in answered), 0.0)
    grouped_n, grouped_z = dict[int, float](), dict[int, float]()
    plain = savings.held < FIT_MIN
    router = _Router(savings)
    for one in answered:
        all_ = one.rest + one.held
        if not all_.n:
            continue
        rest, kept = _plain(one) if plain else (router.augmented(one),) * 2
        for line, moments, groups in ((rest, one.rest, one.rest_groups), (kept, one.held, one.held_groups)):
            z, zz = z + line.total(moments), zz + line.squares(moments)
            for group, requests, x, y in groups:
                grouped_n[group] = grouped_n.get(group, 0.0) + requests
                grouped_z[group] = grouped_z.get(group, 0.0) + line.u * requests + line.v * x + line.g * y
        guard += 0.0 if plain else all_.n * router.of(one).exposure
        n, held = n + all_.n, held + one.held.n
        held_cost, rest_cost = held_cost + one.held.y, rest_cost + one.rest.y
        arms[one.arm] = arms.get(one.arm, Moments()) + all_
    return msgspec.structs.replace(
        savings,
        arms=arms,
        n=n,
        z=z,
        zz=zz,
        guard=guard,
        held=held,
        held_cost=held_cost,
        rest_cost=rest_cost,
        holdout=holdout,
        groups=savings.groups.added(grouped_n, grouped_z),
    )


class _Line(msgspec.Struct, frozen=True):
    """Z = u + v x + g y of the requests of one arm under one version."""

    u: float
    v: float
    g: float

    def total(self, m: Moments) -> float:
        """Sum of Z."""
        return self.u * m.n + self.v * m.x + self.g * m.y

    def squares(self, m: Moments) -> float:
        """Sum of Z squared."""
        u, v, g = self.u, self.v, self.g
        return max(0.0, u * u * m.n + v * v * m.xx + g * g * m.yy + 2 * (u * v * m.x + u * g * m.y + v * g * m.xy))


def _plain(one: Answered) -> tuple[_Line, _Line]:
    """Z = -Y / (1 - h) outside and Y / h in the holdout, until there are regressions to go by."""
    h = one.shares.holdout
    return _Line(0.0, 0.0, -1.0 / (1.0 - h)), _Line(0.0, 0.0, 1.0 / h)


class _Policy(msgspec.Struct, frozen=True):
    """What one version does in one segment: ``contrast``: c_k, baseline minus router policy; ``c0`` and ``c1``: the
    line of sum_k c_k m_k(x); ``exposure``: c_b^2 / p_b, how much a request depends on what few baseline answers show.
    """

    contrast: dict[str, float]
    c0: float
    c1: float
    exposure: float


class _Router:
    """Policies by version and segment, and the lines of earlier minutes by arm: each is worked out once a minute.
    Mutable, but for one ``add_minute`` alone.
    """

    def __init__(self, savings: Savings) -> None:
        self._everywhere = _others(savings, "").line
        self._lines = {arm: m.line if m.n >= FIT_MIN else self._everywhere for arm, m in savings.arms.items()}
        self._policies: dict[tuple[int, str], _Policy] = {}

    def of(self, one: Answered) -> _Policy:
        """The policy ``one`` was answered under. ``Shares`` of a version are one object, alive as long as ``one``."""
        key = (id(one.shares), one.segment)
        found = self._policies.get(key)
        if found is None:
            found = self._policies[key] = self._policy(one)
        return found

    def augmented(self, one: Answered) -> _Line:
        """Z once there are regressions to go by."""
        policy, (a, b) = self.of(one), self._line(one.arm)
        g = policy.contrast.get(one.arm, 0.0) / one.shares.probability(one.segment, one.arm)
        return _Line(policy.c0 - g * a, policy.c1 - g * b, g)

    def _policy(self, one: Answered) -> _Policy:
        baseline = one.shares.baseline
        contrast = {arm: -w for arm, w in one.shares.weights(one.segment).items()}
        contrast[baseline] = contrast.get(baseline, 0.0) + 1.0
        c0 = c1 = 0.0
        for arm in sorted(contrast):
            a, b = self._line(arm)
            c0, c1 = c0 + contrast[arm] * a, c1 + contrast[arm] * b
        exposure = contrast[baseline] ** 2 / one.shares.probability(one.segment, baseline)
        return _Policy(contrast, c0, c1, exposure)

    def _line(self, arm: str) -> tuple[float, float]:
        return self._lines.get(arm, self._everywhere)


def _others(savings: Savings, but: str) -> Moments:
    total = Moments()
    for arm in sorted(savings.arms):
        if arm != but:
            total += savings.arms[arm]
    return total


def estimate(savings: Savings, *, baseline: str, holdout: float, sticky: bool, alpha: float = 0.05) -> Estimate:
    """The saving so far. ``proven`` when, after the burn-in, the whole interval is above the optimizer's own cost."""
    n = savings.n
    if n < 2 or holdout <= 0:
        why = "no holdout: holdout_share is 0" if holdout <= 0 else "no costed requests yet"
        return Estimate(int(n), int(savings.held), 0.0, None, None, None, proven=False, why_not=why)
    mean = savings.z / n
    single = max(0.0, savings.zz / n - mean * mean)
    effect = session_effect(savings, single) if sticky else 1.0
    variance = single + _tail_guard(savings, baseline)
    width = half_width(n / effect, variance, alpha, N_STAR / (savings.holdout or holdout))
    known = math.isfinite(width)
    why_not = _why_not(savings, mean - width - savings.own_cost / n, effect, sticky=sticky)
    return Estimate(
        requests=int(n),
        holdout_requests=int(savings.held),
        saving=mean,
        low=mean - width if known else None,
        high=mean + width if known else None,
        baseline_mean=savings.held_cost / savings.held if savings.held else None,
        proven=not why_not,
        why_not=why_not,
        session_effect=effect if math.isfinite(effect) else None,
    )


def session_effect(savings: Savings, single: float) -> float:
    """Requests that tell as much as one independent one, at least 1; infinite while the groups cannot say."""
    sessions = max(float(savings.in_session), savings.groups.total)
    return design_effect(single, savings.groups, savings.z / savings.n, sessions / savings.n)


def _why_not(savings: Savings, low: float, effect: float, *, sticky: bool) -> str:
    if savings.held < BURN_IN:
        return f"{int(savings.held)} of {BURN_IN} holdout requests"
    if sticky and savings.in_session * (1.0 - UNGROUPED) > savings.groups.total:
        return "requests of a session are not independent, and too many came without their session_group"
    if not math.isfinite(effect):
        return f"requests of a session are not independent, and fewer than {FEWEST} session groups were seen"
    if savings.held < BURN_IN * effect:
        return f"{int(savings.held / effect)} of {BURN_IN} holdout requests, counted as independent ones"
    return "" if low > 0 else "the interval, less the own cost, still includes no saving"


def _tail_guard(savings: Savings, baseline: str) -> float:
    """Few baseline answers may not have shown their tail yet: borrow the relative variance of the others."""
    base, others = savings.arms.get(baseline, Moments()), _others(savings, baseline)
    if base.n < 1 or others.n < FIT_MIN or others.y <= 0:
        return 0.0
    scale = (base.y / base.n) / (others.y / others.n)
    return max(0.0, others.residual_variance * scale * scale - base.residual_variance) * savings.guard / savings.n
