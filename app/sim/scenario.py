"""The scenario: which services get which traffic, how their arms behave, what goes wrong. A TOML file.

Unknown keys, unknown arms in a fault and impossible numbers are errors that name the place, never silently ignored.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from app.core.events import Name
from app.sim.arms import ArmModel, Effect
from app.sim.faults import Fault, GatewayOutage
from app.sim.traces import TraceName

Share = Annotated[float, Meta(ge=0, le=1)]


class ScenarioError(ValueError):
    """A scenario cannot be used; the message names the place and what to write instead."""


class Noise(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What real pipelines add. Shares of all events; ``disorder_s`` must stay under the allowed lateness (30 s)."""

    duplicates: Share = 0.0
    broken: Share = 0.0
    disorder_s: Annotated[float, Meta(ge=0, le=20)] = 0.0


class Phase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The shape of the traffic: from ``after_min`` on its rate is ``factor`` times what is stated, until the next."""

    after_min: Annotated[float, Meta(ge=0)]
    factor: Annotated[float, Meta(gt=0, le=1_000)]


class Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A service document to apply: its path beside the scenario, and which promotion it waits for ("": none)."""

    file: str
    after_promotion_of: str = ""


class SimulatedService(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Traffic of one service. ``documents`` are applied in turn (none: it is only observed).

    ``score_rate`` is how often a judge scores an answer where the split in force says nothing about its slice;
    ``score_delay_s`` is the mean event time until the score arrives. ``document``: the service document itself instead
    of files; its ``service`` is this one's name. ``effects``: by idea (``compression``, ``max_tokens``...), what it
    does to an arm; an idea that is not named changes nothing.
    """

    name: Name
    trace: TraceName
    requests_per_min: Annotated[float, Meta(gt=0, le=100_000)]
    arms: Annotated[tuple[ArmModel, ...], Meta(min_length=1, max_length=32)]
    documents: tuple[Document, ...] = ()
    default_arm: str = ""
    tasks: dict[str, float] = {}
    requests_per_session: Annotated[int, Meta(ge=1, le=1_000)] = 1
    score_rate: Share = 0.1
    score_delay_s: Annotated[float, Meta(ge=0, le=3_600)] = 30.0
    faults: tuple[Fault, ...] = ()
    document: dict[str, Any] = {}
    shape: tuple[Phase, ...] = ()
    effects: dict[str, Effect] = {}


class Expected(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a run must show of ``service``: ``promoted`` wins its trial, then ``rolled_back`` loses its own."""

    service: str
    promoted: str
    rolled_back: str


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run: ``hours`` of event time ending ``ends_ago_min`` before the wall clock at the start of the run.

    ``story``: what must happen for the run to count as a success.
    """

    name: str
    services: Annotated[tuple[SimulatedService, ...], Meta(min_length=1, max_length=16)]
    hours: Annotated[float, Meta(gt=0, le=24 * 31)]
    seed: Annotated[int, Meta(ge=0)] = 1
    ends_ago_min: Annotated[float, Meta(ge=0)] = 10.0
    noise: Noise = Noise()
    story: Expected | None = None


def load(path: Path) -> Scenario:
    """The scenario in the TOML file ``path``; ``ScenarioError`` when it cannot be used."""
    try:
        scenario = msgspec.convert(tomllib.loads(path.read_text()), Scenario)
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ScenarioError(f"{path}: {error}") from error
    for service in scenario.services:
        _check(service, path)
    return scenario


def _check(service: SimulatedService, path: Path) -> None:
    names = [arm.name for arm in service.arms]
    place = f"{path}: service {service.name!r}"
    if len(set(names)) < len(names):
        raise ScenarioError(f"{place} names an arm twice: {', '.join(sorted(names))}")
    asked = [fault.arm for fault in service.faults if not isinstance(fault, GatewayOutage)]
    awaited = [document.after_promotion_of for document in service.documents if document.after_promotion_of]
    unknown = sorted({*asked, *awaited, service.default_arm or names[0]} - set(names))
    if unknown:
        raise ScenarioError(f"{place} speaks of {', '.join(unknown)}, but its arms are {', '.join(names)}")
    if service.document and service.documents:
        raise ScenarioError(f"{place} has a document and documents: write one of them")
    if [phase.after_min for phase in service.shape] != sorted({phase.after_min for phase in service.shape}):
        raise ScenarioError(f"{place}: the phases of its shape must rise in after_min")
    if any(weight <= 0 for weight in service.tasks.values()):
        raise ScenarioError(f"{place}: every weight under tasks must be above 0")
