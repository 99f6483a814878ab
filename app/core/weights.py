"""Minute weights of policy ``mix``: each arm's chance of being the best, per segment (STATISTICS 3).

Thompson sampling (Thompson, 1933) done once a minute for a whole minute: 256 seeded draws of every arm's posterior
reward; the share of draws an arm wins is its weight. Segments are pooled by ``stats.shrinkage``, arms that changed
forget their past by ``stats.two_window``. Only cells of the main slice belong in here: trial, control and holdout never
feed the bandit. Pure: ``update`` once per closed pane, ``reweighed`` once per tick, ``weights_of`` for the split.
"""

import msgspec
import numpy as np

from app.core.cell import Cell
from app.core.ids import stable_id
from app.core.stats.moments import ArmSums, Means, add, overall, posterior, sums_of, total_of
from app.core.stats.reward import Objective
from app.core.stats.shrinkage import Table, shrink
from app.core.stats.two_window import Bucket, bucket_of, changes, keep_newest, pushed

DRAWS = 256
FORCED_PULLS = 5
"""Requests an arm gets before its weight follows from what it showed."""
CAP = 0.20
"""Largest move of a weight per tick, once an arm has held more than half of the segment."""
HYSTERESIS = 0.02
"""Weights stay while no one would move by this much: a new split is not free for the gateway."""
FLOOR_TOTAL = 0.02
FLOOR_REQUESTS = 200.0
SETTLED = 0.3
DETECTION = 1440.0
YOUNG = 10.0
YOUNG_SEGMENTED = 20.0
"""Draws have ``SETTLED`` of the posterior's variance (narrower draws lose less: Chapelle and Li, 2011) and ``YOUNG`` /
answers of it on top: a few scores say little of their own variance, and an arm unlucky at first must come back."""
EVERYWHERE = "*"


class ArmState(msgspec.Struct, frozen=True, array_like=True):
    """What is known of one arm: sums per segment in the order of ``Mix.segments``, buckets in time order.

    ``resets``: how often its past was forgotten; ``reset_minute``: when last (-1: never).
    """

    name: str = ""
    sums: tuple[ArmSums, ...] = ()
    buckets: tuple[Bucket, ...] = ()
    resets: int = 0
    reset_minute: int = -1


class Mix(msgspec.Struct, frozen=True, array_like=True):
    """State of one service's bandit: ``weights`` and ``held`` (an arm once had over half) per segment."""

    segments: tuple[str, ...] = (EVERYWHERE,)
    arms: tuple[ArmState, ...] = ()
    weights: tuple[tuple[float, ...], ...] = ()
    held: tuple[bool, ...] = ()


def with_arms(mix: Mix, arms: tuple[str, ...], segments: tuple[str, ...] = (EVERYWHERE,), incumbent: str = "") -> Mix:
    """The mix over these arms and segments: what is known of them is kept, the rest dropped.

    A segment without weights starts with the ``incumbent`` (it has earned its place), or evenly without one. An arm
    that is new starts at weight 0 and gets its forced pulls first.
    """
    if mix.weights and segments == mix.segments and arms == tuple(arm.name for arm in mix.arms):
        return mix
    states = {arm.name: arm for arm in mix.arms}
    column = {segment: i for i, segment in enumerate(mix.segments)}
    same = segments == mix.segments
    kept = tuple(_state(states.get(name), name, segments, column, same=same) for name in arms)
    old = {
        (s, arm.name): row[i]
        for s, row in zip(mix.segments, mix.weights, strict=False)
        for i, arm in enumerate(mix.arms)
    }
    weights = tuple(_start(tuple(old.get((s, a), 0.0) for a in arms), arms, incumbent) for s in segments)
    held = tuple(max(row, default=0.0) > 0.5 or _held(mix, s) for s, row in zip(segments, weights, strict=True))
    return Mix(segments, kept, weights, held)


def update(mix: Mix, minute: int, cells: dict[tuple[str, str], Cell], channel: str = "judge") -> Mix:
    """Add one closed pane: main-slice cells by (arm, segment), costs priced. Unknown arms and segments are left out."""
    return msgspec.structs.replace(
        mix, arms=tuple(_learned(arm, mix.segments, minute, cells, channel) for arm in mix.arms)
    )


def reset_if_changed(mix: Mix, minute: int, objective: Objective) -> tuple[Mix, tuple[str, ...]]:
    """Forget the past of arms that changed; also the names of those, in arm order.

    An arm that changed has lost its place: no cap slows the way from it.
    """
    since = changes([(arm.buckets, arm.sums) for arm in mix.arms], objective)
    arms = tuple(_reset(arm, at, minute) for arm, at in zip(mix.arms, since, strict=True))
    moved = [at is not None for at in since]
    if not any(moved):
        return mix, ()
    lost = [any(change and weight > 0.5 for change, weight in zip(moved, row, strict=True)) for row in mix.weights]
    held = tuple(had and not gone for had, gone in zip(mix.held, lost, strict=True))
    changed = tuple(arm.name for arm, change in zip(arms, moved, strict=True) if change)
    return msgspec.structs.replace(mix, arms=arms, held=held), changed


def reweighed(
    mix: Mix,
    minute: int,
    objective: Objective,
    *,
    service: str = "",
    requests_per_minute: float = 0.0,
    detection_minutes: float = DETECTION,
    drawn: Table | None = None,
) -> Mix:
    """The mix with the weights for the next minute; unchanged while no weight would move by ``HYSTERESIS``.

    ``requests_per_minute``: main traffic of the service. ``detection_minutes``: time in which an arm that *improved*
    should have had ``FLOOR_REQUESTS`` requests; the floor never takes over ``FLOOR_TOTAL`` in all. ``drawn``: what
    ``drawn_rewards`` found for this minute, where it is known.
    """
    if not mix.arms:
        return mix
    chances = chances_of(drawn_rewards(mix, objective, service, minute) if drawn is None else drawn)
    forced = _forced(mix, requests_per_minute)
    wanted = floored(mix, chances, requests_per_minute, detection_minutes)
    weights, held = [], []
    for row, old, had in zip(wanted.tolist(), mix.weights, mix.held, strict=True):
        new = _moved(row, old, forced, capped=had)
        weights.append(new)
        held.append(had or max(new) > 0.5)
    return msgspec.structs.replace(mix, weights=tuple(weights), held=tuple(held))


def weights_of(mix: Mix) -> dict[str, dict[str, float]]:
    """Segment -> arm -> weight, in fixed order; rows sum to 1. What a split wants."""
    names = [arm.name for arm in mix.arms]
    return {s: dict(zip(names, row, strict=True)) for s, row in zip(mix.segments, mix.weights, strict=True)}


def drawn_rewards(mix: Mix, objective: Objective, service: str, minute: int) -> Table:
    """Draws of the posterior mean rewards, segments x ``DRAWS`` x arms, seeded by service and minute. All segments
    share their standard normals: each weight is as it would be with its own, and nothing compares segments' draws.
    """
    means, errors = rewards(mix, objective)
    sds = errors * _width(mix)
    generator = np.random.Generator(np.random.PCG64(int(stable_id(service, minute), 16)))
    normals = generator.standard_normal((DRAWS, len(mix.arms)))
    return np.asarray(means.T[:, None] + sds.T[:, None] * normals)


def chances_of(drawn: Table) -> Table:
    """P(arm is best): the share of the draws it wins, segments x arms."""
    best, arms = drawn.argmax(axis=2), drawn.shape[2]
    return np.array([np.bincount(row, minlength=arms) / len(row) for row in best])


def floored(mix: Mix, chances: Table, requests_per_minute: float, detection_minutes: float = DETECTION) -> Table:
    """``chances`` with the missing forced pulls and the floor of every arm in them (0 minutes: no floor)."""
    floor = _floor(len(mix.arms), requests_per_minute * detection_minutes) if detection_minutes else 0.0
    forced = _forced(mix, requests_per_minute)
    return np.array([_with_forced(row, forced, floor) for row in chances.tolist()])


def rewards(mix: Mix, objective: Objective) -> tuple[Table, Table]:
    """Posterior mean rewards and their standard errors, arms x segments."""
    prior = _prior(mix)
    table = [[posterior(sums, prior, objective) for sums in arm.sums] for arm in mix.arms]
    means = np.array([[cell.mean for cell in row] for row in table])
    variances = np.array([[cell.variance for cell in row] for row in table])
    if len(mix.segments) == 1:
        return means, np.sqrt(variances)
    seen = np.array([[cell.n > 0 for cell in row] for row in table])
    means, variances = shrink(means, np.where(seen, variances, np.inf))
    return means, np.sqrt(variances)


def _width(mix: Mix) -> Table:
    """Standard deviation of an arm's draws over its standard error, arms x 1."""
    answers = np.array([[1.0 + sum(sums.n for sums in arm.sums)] for arm in mix.arms])
    young = YOUNG if len(mix.segments) == 1 else YOUNG_SEGMENTED
    return np.asarray(np.sqrt(SETTLED + young / answers))


def _prior(mix: Mix) -> Means:
    return overall(total_of(sums for arm in mix.arms for sums in arm.sums))


def _state(
    known: ArmState | None, name: str, segments: tuple[str, ...], column: dict[str, int], *, same: bool
) -> ArmState:
    if known is None:
        return ArmState(name, (ArmSums(),) * len(segments))
    if same:
        return known
    sums = tuple(known.sums[column[s]] if s in column else ArmSums() for s in segments)
    return msgspec.structs.replace(known, sums=sums, buckets=())


def _start(row: tuple[float, ...], arms: tuple[str, ...], incumbent: str) -> tuple[float, ...]:
    total = sum(row)
    if total > 0.0:
        return tuple(weight / total for weight in row)
    if incumbent in arms:
        return tuple(float(arm == incumbent) for arm in arms)
    return (1.0 / len(arms),) * len(arms) if arms else ()


def _held(mix: Mix, segment: str) -> bool:
    return dict(zip(mix.segments, mix.held, strict=False)).get(segment, False)


def _learned(
    arm: ArmState, segments: tuple[str, ...], minute: int, cells: dict[tuple[str, str], Cell], channel: str
) -> ArmState:
    found = [cells.get((arm.name, segment)) for segment in segments]
    if all(cell is None for cell in found):
        return arm
    new = tuple(ArmSums() if cell is None else sums_of(cell, channel) for cell in found)
    sums = tuple(add(old, more) for old, more in zip(arm.sums, new, strict=True))
    return msgspec.structs.replace(arm, sums=sums, buckets=pushed(arm.buckets, bucket_of(minute, new)))


def _reset(arm: ArmState, at: int | None, minute: int) -> ArmState:
    """``arm`` as its buckets from number ``at`` on know it."""
    if at is None:
        return arm
    newest = arm.buckets[at:]
    return ArmState(arm.name, keep_newest(newest, arm.sums), newest, arm.resets + 1, minute)


def _floor(arms: int, requests: float) -> float:
    most = FLOOR_TOTAL / arms
    return min(most, FLOOR_REQUESTS / requests) if requests > 0.0 else most


def _forced(mix: Mix, requests_per_minute: float) -> tuple[float, ...]:
    """Per arm the share that gives it its missing forced pulls within a minute; 0 once it has had them."""
    most = 1.0 / len(mix.arms)
    missing = (FORCED_PULLS - sum(sums.n for sums in arm.sums) for arm in mix.arms)
    return tuple(min(most, need / max(1.0, requests_per_minute)) if need > 0 else 0.0 for need in missing)


def _with_forced(chances: list[float], forced: tuple[float, ...], floor: float) -> list[float]:
    """Arms without their pulls get those and nothing else; the others share the rest by their chances, floored."""
    rest = 1.0 - sum(forced)
    known = [0.0 if share else chance for chance, share in zip(chances, forced, strict=True)]
    total = sum(known)
    free = sum(share == 0.0 for share in forced)
    if not free or (total <= 0.0 and rest <= 0.0):
        return [share / sum(forced) for share in forced]
    spread = [chance / total if total > 0.0 else 1.0 / free for chance in known]
    return [share or rest * (floor + (1.0 - free * floor) * part) for share, part in zip(forced, spread, strict=True)]


def _moved(new: list[float], old: tuple[float, ...], forced: tuple[float, ...], *, capped: bool) -> tuple[float, ...]:
    step = max(abs(n - o) for n, o in zip(new, old, strict=True))
    if step < HYSTERESIS and not any(forced) and min(old) > 0.0:
        return old
    scale = min(1.0, CAP / step) if capped and step > 0.0 else 1.0
    return tuple(o + scale * (n - o) for n, o in zip(new, old, strict=True))
