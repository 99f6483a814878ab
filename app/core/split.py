"""The split: the full desired state of a service at the gateway, the value of ``llm.splits``."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

Share = Annotated[float, Meta(ge=0, le=1)]


class ArmDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """One complete way to answer. ``parameters`` go to the provider as they are (temperature, max_tokens...)."""

    name: str
    model: str
    provider: str = ""
    prompt_version: str = ""
    region: str = ""
    parameters: dict[str, Any] = {}
    features: dict[str, Any] = {}


class TrialSlice(msgspec.Struct, frozen=True, omit_defaults=True):
    """The change on trial. ``share`` and ``control_share`` are fractions of the traffic outside the holdout.

    ``arms``: all challengers where there are several (``arm`` is the first of them): they share ``share`` equally.
    ``mirrored``: ``arm`` serves nobody (``share`` is 0); a copy of every request of the control slice is sent to it,
    and its answer is told with slice ``shadow``.
    """

    id: str
    arm: str
    control_arm: str
    share: Share
    control_share: Share
    arms: tuple[str, ...] = ()
    mirrored: bool = False

    @property
    def challengers(self) -> tuple[str, ...]:
        """Every arm on trial, in the order of the draw."""
        return self.arms or (self.arm,)


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """Desired state of one service. Weights are constant within a version (DESIGN section 2).

    ``weights``: per segment ("*" is the default) the main slice's arm weights, in fixed arm order, summing to 1.
    ``sticky``: the hash is over the session id where there is one, else the request id.
    ``score_rates``: slice -> probability that an answer is scored by a judge.
    """

    service: str
    version: int
    decision_id: str
    incumbent: str
    arms: tuple[ArmDefinition, ...]
    weights: dict[str, dict[str, float]]
    baseline: str = ""
    holdout_share: Share = 0.0
    trial: TrialSlice | None = None
    sticky: bool = True
    frozen: bool = False
    segment_by: str = ""
    segments: tuple[str, ...] = ()
    score_rates: dict[str, float] = {}
    decided_at_s: int = 0


encode = msgspec.json.Encoder(order="deterministic").encode
decode = msgspec.json.Decoder(Split).decode
