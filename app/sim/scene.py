"""What the live view shows, as plain numbers: split, cost and quality of every arm, the open trial. Pure."""

import math

import msgspec

from app.core.assign import expected_shares
from app.core.split import Split
from app.sim.watch import Row, Watch

Z_95 = 1.96


class ArmScene(msgspec.Struct, frozen=True):
    """One arm: ``share`` of all requests wanted now; the rest is of the newest closed quarter of an hour.

    ``quality`` mean with a 95 % half-width from the largest variance a score in [0, 1] can have. None: nothing yet.
    """

    arm: str
    share: float | None
    requests: int = 0
    usd_per_1000: float | None = None
    latency_ms_p95: float | None = None
    quality: float | None = None
    quality_half_width: float | None = None


class ServiceScene(msgspec.Struct, frozen=True):
    """One service. ``trial`` is one line, empty when none is open; ``version`` 0: only observed."""

    service: str
    version: int
    trial: str
    arms: tuple[ArmScene, ...]


class Scene(msgspec.Struct, frozen=True):
    """Everything at one moment of event time (epoch seconds)."""

    start_s: int
    now_s: int
    end_s: int
    requests: int
    gateway_down: bool
    services: tuple[ServiceScene, ...]

    @property
    def done(self) -> float:
        """Share of the event time that has passed, in [0, 1]."""
        return min(1.0, (self.now_s - self.start_s) / max(1, self.end_s - self.start_s))


def service_scene(name: str, watch: Watch) -> ServiceScene:
    """The scene of one service from what the optimizer has published."""
    split = watch.splits.get(name)
    known_rows = {arm: row for (service, arm), row in watch.recent.items() if service == name}
    newest = max((row.window_end for row in known_rows.values()), default="")
    rows = {arm: row for arm, row in known_rows.items() if row.window_end == newest}
    shares = _shares(split)
    known = [arm.name for arm in split.arms] if split is not None else []
    names = [*known, *sorted(rows.keys() - set(known))]
    arms = tuple(_arm(arm, shares.get(arm) if split is None else shares.get(arm, 0.0), rows.get(arm)) for arm in names)
    return ServiceScene(name, split.version if split is not None else 0, trial_line(split), arms)


def trial_line(split: Split | None) -> str:
    """The open trial in one line, empty when there is none."""
    if split is None or split.trial is None:
        return ""
    trial = split.trial
    against = f"against {trial.control_share:.0%} {trial.control_arm}"
    if trial.mirrored:
        return f"{trial.arm} in shadow {against}"
    return f"{', '.join(trial.challengers)} on trial with {trial.share:.0%} {against}"


def _shares(split: Split | None) -> dict[str, float]:
    shares: dict[str, float] = {}
    for (_, arm), share in (expected_shares(split) if split is not None else {}).items():
        shares[arm] = shares.get(arm, 0.0) + share
    return shares


def _arm(name: str, share: float | None, row: Row | None) -> ArmScene:
    if row is None or not row.count:
        return ArmScene(name, share)
    judged = row.quality.get("judge")
    mean = judged.mean if judged is not None and judged.n else None
    width = Z_95 * math.sqrt(mean * (1 - mean) / judged.n) if judged is not None and mean is not None else None
    return ArmScene(name, share, row.count, 1000 * row.cost_usd / row.count, row.latency_ms.p95, mean, width)
