"""A pane series watched against its own ring: one value a closed pane, for metrics of which only means are kept.

The reference is mean and standard deviation of the ring without its newest ``LAG`` values, those beyond ``WILD`` median
deviations drawn in (Huber), the scale a standard error on the safe side and floored at ``FLOOR`` (2 % for logarithms).
Steps of a CUSUM tuned to one scale are taken from values clipped at ``CLIP`` scales, so that one wild pane is no
change; evidence of m panes against a ring of n counts for n / (n + m) of itself, as in ``stats.cusum``. At the main
cadence a detector of the document (River's ADWIN) looks at the same ring.
The ring stands still during an excursion, and takes the new level when that lasts (``app.core.analyze.series``).
A value stands for ``enough`` observations: panes with fewer are joined, else noise of little traffic, and its skew,
would pass for a level. Values are kept as 16-bit floats, .05 % of a logarithm: a quarter of a kilobyte a ring.
"""

import math
import struct
from functools import lru_cache
from itertools import accumulate
from statistics import fmean, median

import msgspec

from app.core.analyze.rings import SIZE, Ring, watched
from app.core.analyze.series import NEW_NORMAL_S, Excursion, Moved, back, further

WARM = 45
LAG = 15
FLOOR = 0.02
CLIP = 8.0
WILD = 3.0
LIMIT_N = 16.0
"""Limits are those of panes of so many observations: tuned to one standard error of a pane, as here."""
LOOK_N = 64
"""Values before the detector is asked: ADWIN looks every 32, so it can see two windows."""
MAD_SD = 1.4826
SCATTER = 1.5
"""Standard deviation over mean of what single answers take, cost and write: those of heavy tails, on the safe side."""
LARGEST = 6e4
"""What 16-bit floats can keep."""


class RingWatch(msgspec.Struct, frozen=True, array_like=True):
    """``packed``: the values, oldest first; ``up``, ``down``: evidence in nats; ``panes``: since it was last 0;
    ``centre`` and ``scale``: the reference, renewed at the main cadence (``scale`` 0: there is none yet). ``n``,
    ``total`` and ``per``: sums of panes that wait, ``due``: the main cadence was among them.
    """

    packed: bytes = b""
    up: float = 0.0
    down: float = 0.0
    panes_up: int = 0
    panes_down: int = 0
    out: Excursion | None = None
    centre: float = 0.0
    scale: float = 0.0
    n: float = 0.0
    total: float = 0.0
    per: float = 0.0
    due: bool = False


@lru_cache(maxsize=1024)
def enough(tolerance: float) -> int:
    """Observations a value must stand for: so many that one standard error of it, ``SCATTER`` over the root of n, is
    less than a change of ``tolerance``. Then a value that moved by as much is evidence, and the logarithm of a mean of
    skewed numbers lies within half a ``SCATTER`` squared over n of where it should.

    >>> enough(0.25)
    46
    """
    return math.ceil((SCATTER / math.log1p(max(0.01, tolerance))) ** 2)


def step_sums(
    watch: RingWatch,
    n: float,
    total: float,
    per: float,
    least: float,
    limit: float,
    now_s: int,
    *,
    look: str,
    above: float = 0.0,
    below: float = 0.0,
    name: str = "",
) -> tuple[RingWatch, Moved]:
    """``step_ring`` with the logarithm of ``total`` over ``per``, both of ``n`` observations; panes with too few of
    them wait for the next ones until they are ``least`` together. ``name``: who looks if ``look`` fell between.
    """
    n, total, per = watch.n + n, watch.total + total, watch.per + per
    due = watch.due or bool(look)
    if n < least or total <= 0.0 or per <= 0.0:
        return msgspec.structs.replace(watch, n=n, total=total, per=per, due=due), ""
    if watch.n or due:
        watch = msgspec.structs.replace(watch, n=0.0, total=0.0, per=0.0, due=False)
    return step_ring(watch, math.log(total / per), limit, now_s, look=name if due else "", above=above, below=below)


def unpacked(watch: RingWatch) -> tuple[float, ...]:
    """The values, oldest first."""
    return struct.unpack(f"<{len(watch.packed) // 2}e", watch.packed)


def packed(values: tuple[float, ...]) -> bytes:
    """The newest ``SIZE`` of ``values``."""
    values = values[-SIZE:]
    return struct.pack(f"<{len(values)}e", *values)


def step_ring(
    watch: RingWatch, x: float, limit: float, now_s: int, *, look: str, above: float = 0.0, below: float = 0.0
) -> tuple[RingWatch, Moved]:
    """Add the value of a closed complete pane; what is not finite is left out.

    ``limit``: in nats, of ``LIMIT_N`` observations a pane. ``look``: name of the detector that looks at the ring, too
    (at the main cadence), else ''. ``above``, ``below``: how far the level may rise and fall without having moved.
    """
    if not math.isfinite(x):
        return watch, ""
    x = min(LARGEST, max(-LARGEST, x))
    if watch.out is not None:
        return _on(watch, watch.out, x, now_s)
    size, kept = len(watch.packed) // 2, (watch.packed + struct.pack("<e", x))[-2 * SIZE :]
    if size < WARM:
        return RingWatch(kept), ""
    centre, scale = (watch.centre, watch.scale) if watch.scale and not look else reference(unpacked(watch)[:-LAG])
    z = min(CLIP, max(-CLIP, (x - centre) / scale))
    up, down = max(0.0, watch.up + z - above / scale - 0.5), max(0.0, watch.down - z - below / scale - 0.5)
    grown = RingWatch(
        kept,
        up,
        down,
        watch.panes_up + 1 if up else 0,
        watch.panes_down + 1 if down else 0,
        None,
        centre,
        scale,
    )
    n = size - LAG
    if max(up * n / (n + grown.panes_up), down * n / (n + grown.panes_down)) < limit:
        if not look or size < LOOK_N:
            return grown, ""
        return _looked(grown, look, limit, now_s, above, below)
    panes = grown.panes_up if up >= down else grown.panes_down
    values = (*unpacked(watch), x)
    newest = values[-min(panes, LAG) :]
    return msgspec.structs.replace(
        grown, packed=packed(values[: -len(newest)]), out=_away(newest, centre, now_s)
    ), "raised"


def reference(values: tuple[float, ...]) -> tuple[float, float]:
    """Mean and floored scale, neither moved far by wild values."""
    middle = median(values)
    reach = WILD * max(FLOOR, MAD_SD * median([abs(v - middle) for v in values]))
    drawn = [min(middle + reach, max(middle - reach, v)) for v in values]
    centre, n = fmean(drawn), len(drawn)
    variance = math.fsum((v - centre) ** 2 for v in drawn) / max(1, n - 1)
    return centre, max(FLOOR, math.sqrt(variance) * (1.0 + 1.0 / math.sqrt(n)))


def _looked(
    watch: RingWatch, look: str, limit: float, now_s: int, above: float, below: float
) -> tuple[RingWatch, Moved]:
    """What ``look`` says, where the means on both sides of the change differ by ``limit`` nats (half of z squared). A
    detector speaks some time after a change: it lies where the two sides differ most.
    """
    values = unpacked(watch)
    _, alert = watched(Ring(values, len(values)), look)
    if alert is None or alert.at < LAG:
        return watch, ""
    at = _parting(values)
    before, after = values[:at], values[at:]
    usual, scale = reference(before)
    out = _away(after, usual, now_s)
    moved = out.value - (usual + above if out.value > usual else usual - below)
    n = len(before) * len(after) / len(values)
    if not -below <= out.value - usual <= above and 0.5 * n * (moved / scale) ** 2 >= limit:
        return msgspec.structs.replace(watch, packed=packed(before), out=out, scale=scale), "raised"
    return watch, ""


def _parting(values: tuple[float, ...]) -> int:
    """Where to cut, ``LAG`` values from the beginning at least, so that the means of both parts differ most."""
    n, total, sums = len(values), math.fsum(values), list(accumulate(values))
    return max(range(LAG, n), key=lambda at: (sums[at - 1] - total * at / n) ** 2 / (at * (n - at)))


def _away(newest: tuple[float, ...], usual: float, now_s: int) -> Excursion:
    n = float(len(newest))
    return Excursion(now_s, fmean(newest), usual, n=n, total=sum(newest))


def _on(watch: RingWatch, out: Excursion, x: float, now_s: int) -> tuple[RingWatch, Moved]:
    gain = (out.usual - out.surely) / watch.scale**2 * (x - 0.5 * (out.usual + out.surely))
    out = further(out, 1.0, x, gain)
    if back(out):
        return RingWatch(watch.packed), "cleared"
    if now_s - out.since_s >= NEW_NORMAL_S:
        return RingWatch(), "cleared"
    return msgspec.structs.replace(watch, out=out), "on"
