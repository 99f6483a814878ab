"""Strategy ``adaptive_parameter_tuning``: arms that differ from the incumbent in one parameter, for a stated reason.

First what the evidence asks for: a token limit that cuts answers off goes up, one that nobody comes near goes down,
JSON that does not parse and scores below ``LOW_QUALITY`` lower the temperature. Then what the kind of task suggests
(``task_baselines``). Then, under the strategy's own name, a bounded search: one step up and one down from the
incumbent, half as wide once both were tried, at most ``HALVINGS`` times. What had its trial is never made again.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from app.core.document import Arm
from app.core.levers.lever import Candidate, Ideas, View
from app.core.levers.made_arm import key_of, made
from app.core.levers.task_baselines import BASELINES, RANGES, bounded
from app.core.profile import Profile

LEAST = 200
"""Requests of the incumbent from which its evidence counts."""
CUT_OFF = 0.02
"""Share of answers that end at the token limit from which the limit goes up by half."""
UNUSED = 0.25
"""Share of the limit that is written on average below which the limit goes down, to three times what is written."""
INVALID = 0.01
"""Share of answers that are no JSON though they should be."""
LOW_QUALITY = 0.7
HALVINGS = 2
SEARCHED = ("temperature", "top_p", "presence_penalty", "frequency_penalty")


class Step(msgspec.Struct, frozen=True):
    """One parameter changed, and why."""

    name: str
    value: float
    why: str


def tuning(view: View) -> Ideas:
    """What the evidence and the task ask for."""
    return _ideas(view, searching=False)


def adaptive_parameter_tuning(view: View) -> Ideas:
    """The same, and the search when neither asks for anything."""
    return _ideas(view, searching=True)


def _ideas(view: View, *, searching: bool) -> Ideas:
    parent = view.document.arm(view.incumbent)
    if parent is None:
        return [], []
    profile = view.profiles.get(view.incumbent, Profile())
    asked = [*adjustments(parent.parameters, profile), *baseline(parent.parameters, view.document.strategy.task)]
    found = _arms(view, parent, asked)
    if not found and searching:
        found = _arms(view, parent, search(parent.parameters))[:2]
    return found, []


def _arms(view: View, parent: Arm, steps: list[Step]) -> list[Candidate]:
    found: dict[str, Candidate] = {}
    for step in steps:
        arm = made(parent, step.name, parameters={**parent.parameters, step.name: step.value})
        if key_of(arm) not in view.tried and not view.resting(arm.name):
            found.setdefault(arm.name, Candidate(arm.name, 0.0, {}, "adaptive-tuning", arm, step.why))
    return list(found.values())


def adjustments(parameters: dict[str, Any], profile: Profile) -> list[Step]:
    """What the incumbent's own answers ask for."""
    return [step for step in _asked(parameters, profile) if step.value != parameters.get(step.name)]


def _asked(parameters: dict[str, Any], profile: Profile) -> Iterator[Step]:
    if profile.n < LEAST:
        return
    limit, temperature = _number(parameters, "max_tokens"), _number(parameters, "temperature")
    cut_off, invalid = profile.truncated / profile.n, profile.invalid / profile.n
    written = profile.written / profile.limits if profile.limited >= LEAST and profile.limits else None
    if limit is not None and cut_off > CUT_OFF:
        why = f"{100 * cut_off:.1f} % of the answers end at the limit of {limit:g} tokens"
        yield Step("max_tokens", bounded("max_tokens", 1.5 * limit), why)
    elif limit is not None and written is not None and written < UNUSED:
        why = f"answers use {100 * written:.0f} % of the limit of {limit:g} tokens"
        yield Step("max_tokens", bounded("max_tokens", 3 * written * limit), why)
    if temperature and invalid > INVALID:
        why = f"{100 * invalid:.1f} % of the answers are not the JSON that was asked for"
        yield Step("temperature", bounded("temperature", 0.5 * temperature), why)
    quality = profile.mean_quality
    if temperature and quality is not None and quality < LOW_QUALITY:
        why = f"the mean score is {100 * quality:.0f} of 100 points"
        yield Step("temperature", bounded("temperature", 0.8 * temperature), why)


def baseline(parameters: dict[str, Any], task: str) -> list[Step]:
    """The values of this kind of task that the incumbent does not state itself."""
    stated = next((values for name, values in BASELINES.items() if name == task), {})
    return [
        Step(name, value, f"{value:g} is usual for {task}") for name, value in stated.items() if name not in parameters
    ]


def search(parameters: dict[str, Any]) -> list[Step]:
    """Steps around the incumbent, the widest first."""
    found: list[Step] = []
    for halving in range(HALVINGS + 1):
        for name in SEARCHED:
            at = _number(parameters, name)
            if at is None:
                continue
            width = RANGES[name].step / 2**halving
            values = (bounded(name, at - width), bounded(name, at + width))
            found += [Step(name, value, f"a step of {width:g} from {name} {at:g}") for value in values if value != at]
    return found


def _number(parameters: dict[str, Any], name: str) -> float | None:
    value = parameters.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
