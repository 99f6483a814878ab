"""What to do about one service at one gateway: a pure, level-triggered decision (DESIGN sections 7 and 9).

It compares what the log wants with what the gateway says it holds, and never remembers what it asked for. A split is
newer than another iff (version, frozen) is. While frozen, a service only gets reverts: frozen splits from the log or,
when the optimizer does not answer, the same split without its open trial, made here.
"""

from typing import Literal

import msgspec

from app.core.freeze import Freeze
from app.core.ids import stable_id
from app.core.ports import Applied, Capability, Plan
from app.core.split import Split

OnDrift = Literal["reapply", "freeze"]
_SHOWN = 200
"""Characters of one changed value that are shown."""


class Desired(msgspec.Struct, frozen=True):
    """Newest split of a service in the log and its append time (ms); ``put`` is the last split the gateway took.

    ``not_before_s``: no call before this (back-off). ``on_drift``: what to do with a change made by hand.
    """

    split: Split
    append_ms: int = 0
    put: Split | None = None
    not_before_s: float = 0.0
    on_drift: OnDrift = "reapply"


class Apply(msgspec.Struct, frozen=True):
    """Put ``split`` in place of the state named ``if_match``; ``drift`` names what was changed by hand there."""

    split: Split
    if_match: str | None
    drift: tuple[str, ...] = ()


class Revert(msgspec.Struct, frozen=True):
    """As ``Apply``, for a frozen split: takes back an open trial."""

    split: Split
    if_match: str | None
    drift: tuple[str, ...] = ()


class Nothing(msgspec.Struct, frozen=True):
    """Leave the gateway as it is.

    ``settled``: it has the split that was wanted. ``held``: what it has stands, because of a freeze or of a revert of
    this very version. ``ahead``: it has a newer version than the log, which only a person can resolve. ``drifted``:
    changed by hand and left so (``drift``).
    """

    why: Literal["settled", "held", "ahead", "drifted"]
    drift: tuple[str, ...] = ()


class Wait(msgspec.Struct, frozen=True):
    """Do not call the gateway before ``until_s``."""

    until_s: float


Action = Apply | Revert | Nothing | Wait


def newness(split: Split) -> tuple[int, bool]:
    """Orders the splits of one service."""
    return (split.version, split.frozen)


def revert_open_trial(split: Split) -> Split:
    """``split`` without its trial, frozen: weights and version stay, the trial's traffic goes to the main slice."""
    return msgspec.structs.replace(split, trial=None, frozen=True)


def idempotency_key(split: Split, if_match: str | None) -> str:
    """One key per split and replaced state: a retry is the same request, putting a split back after a change is not."""
    return stable_id("apply", split.service, split.decision_id, split.version, split.frozen, if_match)


def next_action(desired: Desired, applied: Applied | None, freeze: Freeze, now: float) -> Action:
    """The one next step for a service just read as ``applied`` (None: the gateway has nothing), at ``now`` seconds."""
    if now < desired.not_before_s:
        return Wait(desired.not_before_s)
    target = _allowed(desired, applied, freeze)
    if target is None:
        return Nothing("held")
    if applied is None:
        return _put(target, None)
    if newness(applied.split) > newness(target):
        return Nothing("held" if applied.split.version == target.version else "ahead")
    if applied.split == target:
        return Nothing("settled" if target.frozen or target == desired.split else "held")
    if newness(applied.split) < newness(target):
        return _put(target, applied.etag)
    return _same_newness(desired, target, applied)


def _allowed(desired: Desired, applied: Applied | None, freeze: Freeze) -> Split | None:
    """The newest split the service may have now; None when it may get nothing."""
    if not freeze.active:
        return desired.split
    served = applied.split if applied is not None else desired.put
    if desired.split.frozen and (served is None or newness(desired.split) >= newness(served)):
        return desired.split
    if served is None:
        # lost state, or never anything: only what was wanted before the freeze, and never as an open trial
        return None if desired.append_ms > freeze.since_ms else revert_open_trial(desired.split)
    return served if freeze.hold or served.trial is None else revert_open_trial(served)


def _same_newness(desired: Desired, target: Split, applied: Applied) -> Action:
    drift = _drift(desired, target, applied.split)
    if drift and desired.on_drift == "freeze" and not target.frozen:
        return Nothing("drifted", drift)
    return _put(target, applied.etag, drift)


def _drift(desired: Desired, target: Split, held: Split) -> tuple[str, ...]:
    """What was changed by hand; nothing when ``held`` is our own doing (a revert made before the log's)."""
    if held == desired.put or (held.frozen and held.trial is None and held.decision_id != target.decision_id):
        return ()
    return differences(target, held)


def _put(split: Split, if_match: str | None, drift: tuple[str, ...] = ()) -> Action:
    return Revert(split, if_match, drift) if split.frozen else Apply(split, if_match, drift)


def differences(old: Split | None, new: Split) -> tuple[str, ...]:
    """The fields in which ``new`` differs from ``old``, one ``field: old -> new`` each, long values cut."""
    if old is None:
        return (f"first split, version {new.version}",)
    changed = (
        (name, getattr(old, name), getattr(new, name)) for name in Split.__struct_fields__ if name != "decided_at_s"
    )
    return tuple(f"{name}: {_shown(a)} -> {_shown(b)}" for name, a, b in changed if a != b)


def _shown(value: object) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def plan(capabilities: frozenset[Capability], current: Split | None, desired: Split) -> Plan:
    """What ``desired`` changes at a gateway with ``capabilities``, and what that gateway cannot do of it."""
    return Plan(differences(current, desired), tuple(sorted(_needs(capabilities, desired) - capabilities)))


def _needs(capabilities: frozenset[Capability], split: Split) -> set[Capability]:
    needs: set[Capability] = set()
    if any(sum(w > 0 for w in weights.values()) > 1 for weights in split.weights.values()):
        needs.add("weights")
    only_trial = split.trial is not None and split.holdout_share == 0
    if (split.trial is not None or split.holdout_share > 0) and not (
        only_trial and "single_challenger" in capabilities
    ):
        needs.add("slices")
    if split.trial is not None and split.trial.arms:
        needs.add("slices")
    if split.trial is not None and split.trial.mirrored:
        needs |= {"slices", "shadow"}
    if split.sticky and (needs or split.trial is not None):
        needs.add("sticky")
    return needs
