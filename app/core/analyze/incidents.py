"""One incident, one finding: notes about single series become findings that open once, rise, and resolve once.

A signal joins the open incident of its arm when both are about the same family of metrics, or when one follows from the
other (answers that grow longer cost more and take longer; another model changes everything) and it began lately. So a
fault that shows in many series is told once, with every series that saw it as evidence. An incident ends when the last
of its series has cleared; how long that takes is the hysteresis of the series.
"""

import msgspec

from app.core.analyze.finding import EVERY, Cleared, Note, Signal, finding_of, output, rank
from app.core.ids import stable_id
from app.core.outputs import Output

MAX_OPEN = 24
"""Open findings of a service; further signals are counted in ``refused``."""
MAX_SERIES = 32
"""Series of one finding that are kept by name."""
LINK_S = 1800
"""A signal of a linked family joins an incident that began at most so long ago."""
LINKED = frozenset(("latency", "errors", "cost", "tokens"))
"""Families of which a change in one shows in the others."""


class Incident(msgspec.Struct, frozen=True, array_like=True):
    """``signal``: the worst so far; ``active``: series that have not cleared; ``seen``: all that ever took part."""

    finding_id: str
    signal: Signal
    first_s: int
    active: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()


class Incidents(msgspec.Struct, frozen=True, array_like=True):
    """The open incidents of one service, oldest first. ``refused``: signals beyond the bound."""

    open: tuple[Incident, ...] = ()
    refused: int = 0


def settle(incidents: Incidents, service: str, notes: list[Note], now_s: int) -> tuple[Incidents, list[Output]]:
    """The incidents after the notes of a pane: signals first, worst first, so that nothing ends and begins at once."""
    said: list[Output] = []
    signals = [note for note in notes if isinstance(note, Signal)]
    for signal in sorted(signals, key=lambda s: -rank(s.severity)):
        incidents, told = _take(incidents, service, signal, now_s)
        said += told
    cleared = {note.key: note.why for note in notes if isinstance(note, Cleared)}
    if not cleared:
        return incidents, said
    still: list[Incident] = []
    for incident in incidents.open:
        active = tuple(key for key in incident.active if key not in cleared)
        if active:
            still.append(msgspec.structs.replace(incident, active=active))
        else:
            said.append(_resolved(incident, service, cleared[incident.active[-1]], now_s))
    return msgspec.structs.replace(incidents, open=tuple(still)), said


def _take(incidents: Incidents, service: str, signal: Signal, now_s: int) -> tuple[Incidents, list[Output]]:
    at = next((i for i, known in enumerate(incidents.open) if _belongs(signal, known, now_s)), None)
    if at is None:
        if len(incidents.open) >= MAX_OPEN:
            return msgspec.structs.replace(incidents, refused=incidents.refused + 1), []
        identity = stable_id("finding", service, signal.key, now_s)
        new = Incident(identity, signal, now_s, (signal.key,), (signal.key,))
        return msgspec.structs.replace(incidents, open=(*incidents.open, new)), [_opened(new, service, now_s)]
    known = incidents.open[at]
    joined = _joined(known, signal)
    changed = (*incidents.open[:at], joined, *incidents.open[at + 1 :])
    worse = rank(joined.signal.severity) > rank(known.signal.severity)
    return msgspec.structs.replace(incidents, open=changed), [_opened(joined, service, now_s)] if worse else []


def _belongs(signal: Signal, incident: Incident, now_s: int) -> bool:
    first = incident.signal
    if signal.key in incident.seen:
        return True
    if "waste" in (signal.family, first.family):  # of each kind on its own
        return False
    if signal.arm != first.arm and EVERY not in (signal.arm, first.arm):
        return False
    families = {key.partition("|")[0] for key in incident.seen}
    if signal.family in families:
        return True
    lately = now_s - incident.first_s <= LINK_S
    return "model" in families or (
        lately and (signal.family == "model" or bool(LINKED & families and signal.family in LINKED))
    )


def _joined(incident: Incident, signal: Signal) -> Incident:
    worse = rank(signal.severity) > rank(incident.signal.severity)
    return Incident(
        incident.finding_id,
        signal if worse else incident.signal,
        incident.first_s,
        _with(incident.active, signal.key),
        _with(incident.seen, signal.key),
    )


def _with(keys: tuple[str, ...], key: str) -> tuple[str, ...]:
    return keys if key in keys or len(keys) >= MAX_SERIES else (*keys, key)


def _opened(incident: Incident, service: str, now_s: int) -> Output:
    more = {"series": list(incident.seen)}
    found = finding_of(service, incident.finding_id, incident.signal, (incident.first_s, now_s), "open", more)
    return output(service, found, now_s)


def _resolved(incident: Incident, service: str, why: str, now_s: int) -> Output:
    minutes = (now_s - incident.first_s) // 60
    more = {"series": list(incident.seen), "resolved_because": why, "minutes": minutes}
    signal = msgspec.structs.replace(
        incident.signal, detail=f"{incident.signal.detail} Over after {minutes} min: {why}."
    )
    span = (incident.first_s, now_s)
    return output(service, finding_of(service, incident.finding_id, signal, span, "resolved", more), now_s)
