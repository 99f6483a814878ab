"""Does the traffic still follow? A split that was verified is held against each hour of traffic: one that is edited by
hand, or a gateway that forgot it, shows in the shares also where the gateway itself cannot be read.

``app.core.verify`` compares; an hour is called off only beyond a p-value of 1e-6, since there are many of them.
"""

from typing import Final

import msgspec

from app.core import verify
from app.core.analyze.finding import EVERY, Signal, Status, finding_of, output
from app.core.document import ServiceDocument
from app.core.ids import stable_id
from app.core.outputs import Output
from app.core.pane import ClosedPane
from app.core.split import Split
from app.core.verify import Watch, watched

MINUTES: Final = 60
P_VALUE: Final = 1e-6


class Patrol(msgspec.Struct, frozen=True, array_like=True):
    """The hour that runs (event time). ``off_since_s``: when the first hour began that did not follow; 0: all do."""

    watch: Watch
    off_since_s: int = 0


def begun(watch: Watch) -> Patrol:
    """From now on the version of ``watch``, which was seen, is looked after."""
    return Patrol(Watch(watch.decision_id, watch.version, 0))


def walked(patrol: Patrol, pane: ClosedPane) -> Patrol:
    """``patrol`` with the requests of ``pane``."""
    return msgspec.structs.replace(patrol, watch=watched(patrol.watch, pane, MINUTES))


def told(patrol: Patrol, split: Split, document: ServiceDocument, now_s: int) -> tuple[Patrol, list[Output]]:
    """At the end of an hour the next one, and the finding that begins or ends with it."""
    watch = patrol.watch
    if not watch.deadline_s or now_s < watch.deadline_s:
        return patrol, []
    following = begun(watch)
    wrong = _wrong(watch, split, document)
    if wrong is None or bool(wrong) == bool(patrol.off_since_s):
        return msgspec.structs.replace(following, off_since_s=patrol.off_since_s), []
    if not wrong:
        return following, [ended(patrol, document.service, now_s)]
    off = msgspec.structs.replace(following, off_since_s=watch.deadline_s - 60 * MINUTES)
    return off, [
        _finding(
            off, document.service, now_s, "open", f"The traffic no longer follows version {watch.version}: {wrong}."
        )
    ]


def ended(patrol: Patrol, service: str, now_s: int) -> Output:
    """The end of the finding that is open."""
    return _finding(patrol, service, now_s, "resolved", f"The traffic follows version {patrol.watch.version} again.")


def _wrong(watch: Watch, split: Split, document: ServiceDocument) -> str | None:
    """What is wrong with the hour; empty: nothing; None: too little traffic to say."""
    if watch.requests + watch.others < document.verify.requests_min:
        return None
    if not verify.carried(watch):
        return f"{watch.requests} of {watch.requests + watch.others} requests carry it"
    seen = verify.seen(watch, split, document, p_value=P_VALUE)
    if seen is None or seen.followed:
        return "" if seen else None
    return f"{seen.detail} ({seen.observed_share:.1%}), asked for {seen.expected_share:.1%}"


def _finding(patrol: Patrol, service: str, now_s: int, status: Status, detail: str) -> Output:
    watch, since_s = patrol.watch, patrol.off_since_s
    signal = Signal(
        key="split",
        arm=EVERY,
        segment=EVERY,
        analyzer="anomaly",
        family="traffic",
        kind="split-not-followed",
        metric="share",
        severity="warning",
        value=float(watch.version),
        compared_with=float(watch.version),
        threshold=P_VALUE,
        detail=detail,
    )
    identity = stable_id("split-not-followed", service, watch.version, since_s)
    more = {"decision_id": watch.decision_id, "version": watch.version}
    return output(service, finding_of(service, identity, signal, (since_s, now_s), status, more), now_s)
