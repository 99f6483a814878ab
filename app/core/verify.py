"""Did the traffic follow? A split counts as verified when telemetry shows its shares, not when a gateway says 200.

Every request stamped with the watched version is counted by (slice, arm) and held against the expected shares: an exact
binomial test at 0.1 %, each way. Sticky sessions move together, so a share within a fifth of what was asked (or half a
point) is followed too, whatever the test says.
"""

import msgspec

from app.core.assign import expected_shares
from app.core.cell import CellKey
from app.core.document import ServiceDocument
from app.core.pane import ClosedPane
from app.core.split import Split
from app.core.stats.binomial import two_sided

P_VALUE = 0.001
NEAR_POINTS = 0.005
NEAR_RATIO = 0.2


class Watch(msgspec.Struct, frozen=True, array_like=True):
    """A split waiting to be seen: counts by ``slice|arm`` of its requests. ``deadline_s`` 0: the next pane sets it."""

    decision_id: str
    version: int
    deadline_s: int
    counts: dict[str, int] = {}
    first_seen_s: int = 0
    accepted_by: str = ""
    error: str = ""
    others: int = 0
    reported: bool = False

    @property
    def requests(self) -> int:
        """Requests seen with the version."""
        return sum(self.counts.values())


class Seen(msgspec.Struct, frozen=True):
    """The verdict on a watched split: shares of the (slice, arm) that matters most."""

    followed: bool
    observed_share: float
    expected_share: float
    detail: str


def watched(watch: Watch, pane: ClosedPane, minutes: int) -> Watch:
    """``watch`` with the requests of ``pane``: those of its version or a newer one, by (slice, arm), and the others.

    ``minutes`` until the deadline, if none runs yet.
    """
    if not watch.deadline_s:
        watch = msgspec.structs.replace(watch, deadline_s=pane.end_s + 60 * minutes)
    counts, others = dict(watch.counts), watch.others
    for key in sorted(pane.cells):
        n = pane.cells[key].n
        if not n or key.slice == "shadow":
            continue
        if key.version >= watch.version:
            counts[_name(key)] = counts.get(_name(key), 0) + n
        else:
            others += n
    first_seen_s = watch.first_seen_s or (pane.start_s if counts else 0)
    return msgspec.structs.replace(watch, counts=counts, others=others, first_seen_s=first_seen_s)


def carried(watch: Watch) -> bool:
    """Whether at least half of the requests since the change carry the version; True without any traffic."""
    return watch.requests >= watch.others


def seen(watch: Watch, split: Split, document: ServiceDocument, p_value: float = P_VALUE) -> Seen | None:
    """Whether the traffic follows ``split``, by a test at ``p_value``; None before enough requests."""
    requests = watch.requests
    if requests < document.verify.requests_min:
        return None
    expected = _expected(split)
    names = expected.keys() | watch.counts.keys()
    # weights that moved a little since, or differ by segment (whose mix is not ours to know), are no test of an arm
    if len(split.weights) > 1 or split.version != watch.version:
        names = {name for name in names if not name.startswith("main|")}
    if not names:
        return Seen(True, 1.0, 1.0, f"{requests} requests carry the version")
    worst = min(
        (
            _compare(name, watch.counts.get(name, 0), requests, expected.get(name, 0.0), p_value)
            for name in sorted(names)
        ),
        key=lambda found: (found[0], found[1]),
    )
    followed = worst[0]
    name = worst[2] if not followed else _main_point(split)
    share = watch.counts.get(name, 0) / requests
    return Seen(followed, share, expected.get(name, 0.0), f"{name}: {watch.counts.get(name, 0)} of {requests} requests")


def _expected(split: Split) -> dict[str, float]:
    """Shares by ``slice|arm``."""
    return {f"{slice_}|{arm}": share for (slice_, arm), share in expected_shares(split).items()}


def _compare(name: str, count: int, requests: int, share: float, bar: float) -> tuple[bool, float, str]:
    """(followed?, p-value, name)."""
    p_value = two_sided(count, requests, min(1.0, share))
    off = abs(count / requests - share)
    return p_value >= bar or off <= max(NEAR_POINTS, NEAR_RATIO * share), p_value, name


def _main_point(split: Split) -> str:
    """The share asked for first: that of the trial (of its control where it is mirrored), else of the incumbent."""
    if split.trial is None:
        return f"main|{split.incumbent}"
    return f"control|{split.trial.control_arm}" if split.trial.mirrored else f"trial|{split.trial.arm}"


def _name(key: CellKey) -> str:
    return f"{key.slice}|{key.arm}"
