"""What operators, people who approve and the CLI say on ``llm.commands``: typed commands and their JSON.

A ``ControlFact`` of type ``COMMAND`` carries exactly the bytes ``parse`` reads.
"""

import difflib
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta

from app.core.document import EVERYWHERE, DocumentError, Mode, ServiceDocument, from_object, to_object
from app.core.events import Name
from app.core.resolved import resolved

COMMAND = "io.llm-platform.optimizer.command"
"""CloudEvents type of every command."""

Verb = Literal[
    "configure",
    "optimize-now",
    "pause",
    "resume",
    "approve",
    "reject",
    "promote",
    "abort",
    "rollback",
    "rebaseline",
    "set-mode",
    "freeze",
    "policy-answer",
    "experiment.start",
    "experiment.stop",
    "share-budget",
]
VERBS: tuple[Verb, ...] = get_args(Verb)
ONE_SERVICE_ONLY: frozenset[Verb] = frozenset(
    {
        "configure",
        "approve",
        "reject",
        "promote",
        "policy-answer",
        "experiment.start",
        "experiment.stop",
        "share-budget",
    }
)
"""A broadcast of these would change services nobody has looked at."""


class CommandError(ValueError):
    """A command that cannot be obeyed; ``str()`` names the field and what is allowed."""


class Configure(msgspec.Struct, frozen=True):
    """Replace the service document."""

    document: ServiceDocument


class SetMode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Change the mode until the next document."""

    mode: Mode


class Freeze(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Stop changing the gateway. ``hold`` keeps the split as it is; otherwise an open trial is reverted."""

    hold: bool = False


class About(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """approve, reject, promote, abort, rollback: of which decision; empty means the one that is open."""

    decision_id: str = ""


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """A rule of the policy service that a proposal breaks (PolicyViolation of the build plan)."""

    policy_id: Annotated[str, Meta(min_length=1, max_length=200)]
    policy_name: Annotated[str, Meta(max_length=500)] = ""
    severity: Annotated[str, Meta(max_length=50)] = ""
    description: Annotated[str, Meta(max_length=2000)] = ""


class PolicyAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """policy-answer: what a policy service says to a proposal (PolicyEvaluationResponse of the build plan)."""

    decision_id: Annotated[str, Meta(min_length=1, max_length=200)]
    approved: bool
    violations: Annotated[tuple[Violation, ...], Meta(max_length=64)] = ()
    decision_rationale: Annotated[str, Meta(max_length=2000)] = ""


class ExperimentStart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """experiment.start: try these arms in turn against the arm that serves. ``scored_max``: scored answers each
    slice of a trial gets at most (0: open end); then it is decided by O'Brien-Fleming bounds.
    """

    arms: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=8)]
    name: Annotated[str, Meta(max_length=200)] = ""
    hypothesis: Annotated[str, Meta(max_length=1000)] = ""
    scored_max: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 0


class ExperimentStop(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """experiment.stop: begin no further trial of it; empty means the oldest open one."""

    experiment_id: Annotated[str, Meta(max_length=200)] = ""


class ShareBudget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """share-budget: the service's part of its group's budget, until the next document. ``group`` guards against the
    wrong one; empty means the group the service is in.
    """

    share: Annotated[float, Meta(gt=0, le=1)]
    group: Annotated[str, Meta(max_length=200)] = ""


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """optimize-now, pause, resume, rebaseline take no arguments."""


Args = Configure | SetMode | Freeze | About | PolicyAnswer | ExperimentStart | ExperimentStop | ShareBudget | Nothing

_ARGS: dict[
    Verb,
    type[SetMode]
    | type[Freeze]
    | type[About]
    | type[PolicyAnswer]
    | type[ExperimentStart]
    | type[ExperimentStop]
    | type[ShareBudget]
    | type[Nothing],
] = {
    "experiment.start": ExperimentStart,
    "experiment.stop": ExperimentStop,
    "share-budget": ShareBudget,
    "policy-answer": PolicyAnswer,
    "set-mode": SetMode,
    "freeze": Freeze,
    **dict.fromkeys(("approve", "reject", "promote", "abort", "rollback"), About),
    **dict.fromkeys(("optimize-now", "pause", "resume", "rebaseline"), Nothing),
}
for _kind in _ARGS.values():
    resolved(_kind)  # they are read in several threads at once


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """One order: for whom (``*`` = all services), what, by whom and why."""

    service: str
    command: Verb
    args: Args
    actor: str = ""
    reason: str = ""


class _Wire(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    service: Name
    command: str
    args: dict[str, Any] = {}
    actor: str = ""
    reason: str = ""


_decode = msgspec.json.Decoder(_Wire).decode
_encode = msgspec.json.Encoder(order="deterministic").encode


def parse(data: bytes) -> Command:
    """The command in the JSON bytes of a command event. Raises ``CommandError``."""
    try:
        wire = _decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise CommandError(f"not a command: {error}") from None
    verb = _verb(wire.command)
    if wire.service == EVERYWHERE and verb in ONE_SERVICE_ONLY:
        raise CommandError(f'{verb}: name one service; only other commands may be sent to all ("*")')
    args = _configure(wire) if verb == "configure" else _args(verb, wire.args)
    return Command(service=wire.service, command=verb, args=args, actor=wire.actor, reason=wire.reason)


def to_json(command: Command) -> bytes:
    """The bytes ``parse`` reads back to an equal command, keys sorted."""
    args = {"document": to_object(command.args.document)} if isinstance(command.args, Configure) else command.args
    return _encode(
        {
            "service": command.service,
            "command": command.command,
            "args": args,
            "actor": command.actor,
            "reason": command.reason,
        }
    )


def _verb(text: str) -> Verb:
    for verb in VERBS:
        if verb == text:
            return verb
    near = difflib.get_close_matches(text, VERBS, n=1)
    hint = f", did you mean {near[0]!r}?" if near else ""
    raise CommandError(f"unknown command {text[:80]!r}{hint}; allowed: {', '.join(VERBS)}")


def _configure(wire: _Wire) -> Configure:
    if set(wire.args) != {"document"}:
        raise CommandError('configure: args must be {"document": {...}}')
    try:
        document = from_object(wire.args["document"])
    except DocumentError as error:
        raise CommandError(f"configure: {error}") from error
    if document.service != wire.service:
        raise CommandError(
            f"configure: the document is of {document.service!r}, the command for {wire.service!r}; they must be equal"
        )
    return Configure(document)


def _args(verb: Verb, args: dict[str, Any]) -> Args:
    kind = _ARGS[verb]
    try:
        return msgspec.convert(args, kind)
    except msgspec.ValidationError as error:
        raise CommandError(
            f"{verb}: args: {error}; allowed keys: {', '.join(kind.__struct_fields__) or 'none'}"
        ) from None
