"""What would have been decided under another document: the same rules on the decision's own evidence.

Nothing is simulated and nothing is guessed: ``rollout`` itself decides again from the ``inputs`` in the evidence, so
an unchanged document gives the decision that was made. What would have happened afterwards is not asked: other
decisions would have brought other traffic (``replay --document`` shows how far recorded facts go).
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from app.core import ruling, search, so_far
from app.core.decision import EVENT_TYPES, Alternative, Decision, Status, decode_decision
from app.core.document import ServiceDocument, from_object, to_object
from app.core.ideas import next_ideas
from app.core.inputs import Inputs, read_inputs
from app.core.outputs import Output
from app.core.planned import looked
from app.core.row import Row

_STATUS: dict[str, Status] = {type_: status for status, type_ in EVENT_TYPES.items()}
Settings = Mapping[str, Any]


class WhatIfError(ValueError):
    """A question that has no answer; the message says why and what to ask instead."""


class Said(msgspec.Struct, frozen=True):
    """A decision with its status."""

    status: Status
    decision: Decision


class Answer(msgspec.Struct, frozen=True):
    """What the rules say under the other document. ``said`` empty: they change nothing, ``why_not`` says why."""

    document: ServiceDocument
    said: tuple[Said, ...]
    why_not: str = ""
    alternatives: tuple[Alternative, ...] = ()


def what_if(decision: Decision, settings: Settings) -> Answer:
    """Decide again with some keys of the service document changed (``objective.weights.cost`` = 0.5).

    Raises ``WhatIfError`` for a decision without inputs, ``DocumentError`` for keys or values a document cannot have.
    """
    inputs = read_inputs(decision.evidence)
    if inputs is None:
        raise WhatIfError(_unanswerable(decision))
    document = with_settings(inputs.document, settings)
    row = inputs.row(document)
    if inputs.trial is None:
        return _looked(row, inputs)
    if document.arm(inputs.trial.arm) is None:
        raise WhatIfError(f"{inputs.trial.arm} is on trial, so the document must have it")
    return _judged(row, inputs)


def _unanswerable(decision: Decision) -> str:
    asked = decision.evidence.get("proposal")
    if asked:
        return f"{decision.decision_id} carries out the proposal {asked}: ask what-if of that one"
    return f"{decision.decision_id} ({decision.action}) was not made by rules: ask one that was"


def _looked(row: Row, inputs: Inputs) -> Answer:
    _, said = search.look(row, inputs.now_s, inputs.trigger, inputs.need, inputs.cause)
    decided = _decisions(said)
    if decided:
        return Answer(row.document, decided)
    _, _, others = next_ideas(row, inputs.now_s, inputs.need)
    return Answer(row.document, (), "no arm is worth a trial", tuple(others))


def _judged(row: Row, inputs: Inputs) -> Answer:
    _, said = ruling.judge(row, inputs.now_s)
    decided, trial = _decisions(said), inputs.trial
    if decided or trial is None:
        return Answer(row.document, decided)
    _, verdict = looked(row, so_far.verdict(row, trial, inputs.now_s))
    waits = "nothing is proven to be better yet" if verdict.kind == "safe" else verdict.reason
    about = f" ({verdict.metric})" if verdict.metric else ""
    return Answer(row.document, (), f"the trial of {trial.arm} stays where it is: {waits}{about}")


def _decisions(said: list[Output]) -> tuple[Said, ...]:
    found = (output for output in said if output.type in _STATUS and output.role == "optimizations")
    return tuple(Said(_STATUS[output.type], decode_decision(output.data)) for output in found)


# ---- the other document ----
def with_settings(document: ServiceDocument, settings: Settings) -> ServiceDocument:
    """``document`` with the values of ``settings`` (dotted keys; arms, prices and policies by name). Checked."""
    raw: dict[str, Any] = to_object(document)
    weights = {key.rpartition(".")[2]: value for key, value in settings.items() if key.startswith(_WEIGHTS)}
    for key, value in settings.items():
        if not key.startswith(_WEIGHTS):
            _put(raw, key, value)
    if weights:
        before = msgspec.to_builtins(from_object(raw).objective.effective)
        raw.setdefault("objective", {})["weights"] = _filled(before, weights)
    return from_object(raw)


_WEIGHTS = "objective.weights."
_NAMED = {"arms": "name", "policies": "id", "prices": "model"}


def _filled(before: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """All three weights: those that are not given keep their ratio and share what is left."""
    rest = {key: value for key, value in before.items() if key not in given}
    if not rest or not all(isinstance(value, int | float) for value in given.values()):
        return {**before, **given}
    left, total = 1.0 - sum(given.values()), sum(rest.values())
    return {**given, **{key: left * (value / total if total else 1 / len(rest)) for key, value in rest.items()}}


def _put(raw: dict[str, Any], key: str, value: Any) -> None:
    *path, last = key.split(".")
    table: Any = raw
    for step, name in enumerate(path):
        if isinstance(table, list | tuple):
            identity = _NAMED.get(path[step - 1], "name")
            found = [item for item in table if isinstance(item, dict) and item.get(identity) == name]
            if not found:
                raise WhatIfError(f"{key}: there is no {identity} {name!r} in {path[step - 1]}")
            table = found[0]
        elif isinstance(table, dict):
            table = table.setdefault(name, {})
        else:
            raise WhatIfError(f"{key}: {path[step - 1]} is no table")
    if not isinstance(table, dict):
        raise WhatIfError(f"{key}: name one of the {path[-1]}, as in {path[-1]}.NAME.{last}")
    table[last] = value
