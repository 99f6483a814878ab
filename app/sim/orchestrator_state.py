"""The reference Orchestrator without its network: what it holds, what it serves traffic by, what is wrong with it.

Mutable. Configuration and traffic are apart, as in a real gateway: a split that was taken is served from then on, or
``stale_s`` later when that fault is on; whatever happens to the configuration side, traffic goes on with the last good
split. ``clock`` is any steady clock in seconds. Routing is safe from another thread than configuration.
"""

import time
from collections.abc import Callable
from typing import Any

import msgspec

from app.adapters.gateways.store import SplitStore
from app.core.actuation import revert_open_trial
from app.core.assign import assign, identity_of, segment_for
from app.core.events import Name, Receipt, SegmentParts, ShortText, SliceName
from app.core.ids import request_id
from app.core.ports import Ack, Applied, Conflict
from app.core.split import Split


class Faults(msgspec.Struct, kw_only=True):
    """What goes wrong. ``down``: configuration answers 503. ``dark``: traffic, too. ``busy``: 429.

    ``slow_s``: pause before an answer. ``garbage``: an unreadable one. ``lost_answer``: acts, then breaks the
    connection. ``stale_s``: a split is taken but served only that much later. All but the last show over HTTP only.
    """

    down: bool = False
    dark: bool = False
    slow_s: float = 0.0
    stale_s: float = 0.0
    busy: bool = False
    garbage: bool = False
    lost_answer: bool = False


class RouteRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request on its way to a model. ``request_id`` must hold no dot (the receipt comes after it)."""

    service: Name
    request_id: Name
    session_id: ShortText = ""
    tenant: ShortText = ""
    task_type: ShortText = ""
    region: ShortText = ""


class Routed(msgspec.Struct, frozen=True, kw_only=True):
    """Where it goes, how to call it, and the request id that carries the receipt. ``score_rate`` None: not stated.

    ``mirror``: a copy to send beside it (slice shadow): nobody is served its answer, but it is told as an event of its
    own, with the request id that is given here.
    """

    service: str
    request_id: str
    arm: str
    model: str
    slice: SliceName
    version: int
    session_group: int
    provider: str = ""
    prompt_version: str = ""
    parameters: dict[str, Any] = {}
    features: dict[str, Any] = {}
    score_rate: float | None = None
    mirror: "Routed | None" = None


class _Served:
    """The split traffic follows and, when it is late, the one that will take over at ``at_s``."""

    __slots__ = ("at_s", "following", "split")

    def __init__(self, split: Split) -> None:
        self.split = split
        self.following: Split | None = None
        self.at_s = 0.0

    def at(self, now: float) -> Split:
        if self.following is not None and now >= self.at_s:
            self.split, self.following = self.following, None
        return self.split


class OrchestratorState:
    """Configuration (``store``) and traffic of the reference Orchestrator. ``routed`` counts requests."""

    def __init__(self, store: SplitStore | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.store = store if store is not None else SplitStore()
        self._clock = clock
        self.faults = Faults()
        self.routed = 0
        self._served: dict[str, _Served] = {}

    def read(self, service: str) -> Applied | None:
        """The configuration of ``service``."""
        return self.store.read(service)

    def apply(self, split: Split, if_match: str | None = None, key: str = "", *, must_be_new: bool = False) -> Ack:
        """Take a split (``SplitStore.put``) and serve by it. Raises Conflict, Refused."""
        ack = self.store.put(split, if_match, key, must_be_new=must_be_new)
        if ack.status == "applied":
            self._serve(split)
        return ack

    def rollback(self, service: str) -> Ack:
        """Take back the open trial, as a person at the gateway would. Raises KeyError, Conflict when there is none."""
        held = self.store.read(service)
        if held is None:
            raise KeyError(service)
        if held.split.trial is None:
            raise Conflict(f"{service} has no open trial to roll back; send the split that should be served instead")
        return self.apply(revert_open_trial(held.split), held.etag)

    def remove(self, service: str, if_match: str | None = None) -> bool:
        """Forget ``service``; False when unknown. Raises Conflict."""
        removed = self.store.remove(service, if_match)
        if removed:
            self._served.pop(service, None)
        return removed

    def lose_state(self) -> None:
        """What a restart without a disk does: nothing is configured, nothing can be routed."""
        self.store.clear()
        self._served.clear()

    def serving(self, service: str) -> Split | None:
        """The split traffic of ``service`` follows now."""
        served = self._served.get(service)
        return None if served is None else served.at(self._clock())

    def route(self, request: RouteRequest) -> Routed | None:
        """Draw slice and arm; None when the service is unknown. ValueError: the request id holds a dot."""
        split = self.serving(request.service)
        if split is None:
            return None
        if "." in request.request_id:
            raise ValueError("request_id: no dot is allowed, the receipt comes after the first one")
        self.routed += 1
        return _route(split, request)

    def _serve(self, split: Split) -> None:
        now = self._clock()
        served = self._served.get(split.service)
        if served is None:
            self._served[split.service] = _Served(split)
            return
        served.at(now)
        served.following, served.at_s = split, now + self.faults.stale_s


def _route(split: Split, request: RouteRequest) -> Routed:
    parts = SegmentParts(request.tenant, request.task_type, request.region)
    identity = identity_of(request.request_id, request.session_id or None, sticky=split.sticky)
    drawn = assign(split, identity, segment_for(split, parts))
    group = drawn.session_group
    mirror = _to(split, request.request_id, parts, "shadow", drawn.mirror, group) if drawn.mirror else None
    return _to(split, request.request_id, parts, drawn.slice, drawn.arm, group, mirror)


def _to(
    split: Split,
    unique: str,
    parts: SegmentParts,
    slice_: SliceName,
    name: str,
    group: int,
    mirror: Routed | None = None,
) -> Routed:
    arm = next(arm for arm in split.arms if arm.name == name)
    receipt = Receipt(split.service, name, parts, slice_, split.version, group)
    return Routed(
        service=split.service,
        request_id=request_id(unique, receipt),
        arm=name,
        model=arm.model,
        slice=slice_,
        version=split.version,
        session_group=group,
        provider=arm.provider,
        prompt_version=arm.prompt_version,
        parameters=arm.parameters,
        features=arm.features,
        score_rate=split.score_rates.get(slice_),
        mirror=mirror,
    )
