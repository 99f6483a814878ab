"""Requests of a simulated service: arrivals of a trace with a session and a task each.

What: ``requests_per_session`` is the mean length of a session; 20 sessions are open at a time. A session keeps its
task. All of it is a function of (seed, service, index of the arrival).
"""

from collections.abc import Iterator

import msgspec

from app.sim import traces
from app.sim.draws import uniforms
from app.sim.scenario import SimulatedService

OPEN_SESSIONS = 20


class Request(msgspec.Struct, frozen=True, gc=False):
    """One request before it is routed. ``unique`` is its identity, free of dots; ``session_id`` "" when it has none."""

    unique: str
    time_s: float
    session_id: str
    task: str
    input_tokens: int
    output_tokens: int


def requests(service: SimulatedService, *, seed: int, start_s: float) -> Iterator[Request]:
    """Endless requests of ``service`` from ``start_s`` on, in time order."""
    trace = traces.load(service.trace)
    last_s = now_s = start_s
    for arrival in traces.arrivals(trace, start_s=start_s, rate_per_min=service.requests_per_min):
        now_s += (arrival.time_s - last_s) / _factor(service, now_s - start_s)
        last_s = arrival.time_s
        unique = f"{service.name.replace('.', '-')}-{arrival.index}"
        session = _session(service, seed, arrival.index)
        yield Request(
            unique,
            now_s if service.shape else arrival.time_s,
            session,
            _task(service, seed, session or unique),
            arrival.input_tokens,
            arrival.output_tokens,
        )


def _factor(service: SimulatedService, since_s: float) -> float:
    """How many times its stated rate the traffic has ``since_s`` seconds after the start."""
    return next((phase.factor for phase in reversed(service.shape) if since_s >= 60 * phase.after_min), 1.0)


def _session(service: SimulatedService, seed: int, index: int) -> str:
    if service.requests_per_session == 1:
        return ""
    (place,) = uniforms(1, seed, service.name, "session", index)
    block = index // (OPEN_SESSIONS * service.requests_per_session)
    return f"{service.name}-{block}-{int(place * OPEN_SESSIONS)}"


def _task(service: SimulatedService, seed: int, owner: str) -> str:
    if not service.tasks:
        return ""
    (place,) = uniforms(1, seed, service.name, "task", owner)
    left = place * sum(service.tasks.values())
    for task, weight in service.tasks.items():
        left -= weight
        if left < 0:
            return task
    return next(reversed(service.tasks))
