"""What may be tried next: the levers' ideas for a row, and the life of the arms they make.

A made arm enters the service document's arms when it is the next to be tried, so that splits, prices and statistics
know it like any other. It stays while it serves, is on trial or proposed, or served last; else it is retired at the
next look, and what was retired is not made again. At most ``MAX_ARMS`` arms in all.
"""

from collections.abc import Sequence

import msgspec

from app.core.decision import Alternative
from app.core.document import MAX_ARMS, Arm, ServiceDocument
from app.core.levers.expectation import expectation, gain, impacts, traffic_of
from app.core.levers.lever import Candidate, Need, View
from app.core.levers.made_arm import Made, key_of
from app.core.levers.strategies import ideas
from app.core.profile import Profile
from app.core.row import Row

MAX_TRIED = 64
"""Keys of retired arms a row remembers; the oldest is forgotten first."""


def next_ideas(row: Row, now_s: int, need: Need = "") -> tuple[Row, list[Candidate], list[Alternative]]:
    """Arms worth a trial, best first, all of them in the row's document; and the others with the reason why not."""
    row = retired(row)
    worth, others = ideas(view_of(row, now_s, need))
    first = worth[0].made if worth else None
    if first is not None:
        if len(row.document.arms) >= MAX_ARMS:
            others.append(Alternative(worth[0].arm, f"the service has {MAX_ARMS} arms, the most there can be"))
            worth = worth[1:]
        else:
            row = entered(row, first)
    later = [c for i, c in enumerate(worth) if c.made is not None and row.document.arm(c.arm) is None]
    others += [Alternative(c.arm, f"has its turn later: {c.why}") for c in later]
    return row, [c for c in worth if c not in later], others


def expected_of(row: Row, arm: str, now_s: int) -> Candidate:
    """What is expected of one declared arm, whatever the levers think of it."""
    traffic = traffic_of(view_of(row, now_s))
    now, then = (
        expectation(traffic, row.document.arm(name) or traffic.incumbent, row.profiles.get(name, Profile()))
        for name in (row.incumbent, arm)
    )
    return Candidate(arm, gain(row.document, now, then), impacts(now, then, int(traffic.profile.n)))


def view_of(row: Row, now_s: int, need: Need = "") -> View:
    """What levers may look at."""

    def resting(arm: str) -> str:
        rest = row.resting.get(arm)
        return f"rests until its next chance: {rest.why}" if rest is not None and now_s < rest.until_s else ""

    return View(
        document=row.document,
        incumbent=row.incumbent,
        serving=row.serving,
        profiles=row.profiles,
        resting=resting,
        now_s=now_s,
        need=need,
        tried=frozenset(row.tried),
        spread=row.spread,
    )


# ---- made arms ----
def entered(row: Row, arm: Arm) -> Row:
    """``row`` with a made arm among the arms of its document."""
    document = msgspec.structs.replace(row.document, arms=(*row.document.arms, arm))
    root = next((made.root for made in row.made if made.name == row.incumbent), row.incumbent)
    return msgspec.structs.replace(row, document=document, made=(*row.made, Made(arm.name, root, key_of(arm))))


def retired(row: Row) -> Row:
    """``row`` without the made arms that have had their time."""
    gone = [made for made in row.made if made.name not in _needed(row)]
    if not gone:
        return row
    names = {made.name for made in gone}
    document = msgspec.structs.replace(row.document, arms=_without(row.document.arms, names))
    return msgspec.structs.replace(
        row,
        document=document,
        made=tuple(made for made in row.made if made.name not in names),
        tried=(*row.tried, *(made.key for made in gone))[-MAX_TRIED:],
        resting={name: rest for name, rest in row.resting.items() if name not in names},
    )


def _needed(row: Row) -> frozenset[str]:
    """Arms that must stay: they serve, are on trial or proposed, are the holdout's, or served last."""
    before = next((past.incumbent for past in reversed(row.history) if past.incumbent != row.incumbent), "")
    trial = tuple(arm for one in row.challengers for arm in (one.arm, one.control_arm))
    proposed = (row.proposal.arm, *row.proposal.rivals) if row.proposal is not None else ()
    return frozenset((*row.serving, *trial, *proposed, row.document.baseline, before))


def carried(row: Row, document: ServiceDocument) -> ServiceDocument:
    """A new document with the made arms that serve or are on trial, where what they descend from is unchanged."""
    if document.strategy.prompt != row.document.strategy.prompt:
        return document
    needed, taken = _needed(row), set(document.arm_names)
    ours = {
        made.name
        for made in row.made
        if made.name in needed - taken and document.arm(made.root) == row.document.arm(made.root)
    }
    stay = [arm for arm in row.document.arms if arm.name in ours][: MAX_ARMS - len(document.arms)]
    return msgspec.structs.replace(document, arms=(*document.arms, *stay)) if stay else document


def declared(row: Row) -> ServiceDocument:
    """The document as a person gave it: without made arms."""
    arms = _without(row.document.arms, {made.name for made in row.made})
    return msgspec.structs.replace(row.document, arms=arms)


def _without(arms: Sequence[Arm], names: set[str]) -> tuple[Arm, ...]:
    return tuple(arm for arm in arms if arm.name not in names)
