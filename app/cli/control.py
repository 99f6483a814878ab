"""Orders to the optimizer: each writes one command to `llm.commands` and returns when the broker has it.

That is all it does: the optimizer obeys at its own place in the log and answers on `llm.optimizations` (`decisions`).
"""

import getpass
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
import msgspec

from app.cli.options import Options
from app.cli.output import json_option, write_json

if TYPE_CHECKING:
    from app.core.commands import Command, Verb

EVERYWHERE = "*"
Args = dict[str, Any]
"""As on the topic."""


def _order(verb: "Verb", *extra: Callable[[Any], Any]) -> Callable[[Callable[..., Args]], click.Command]:
    """Make a command of a function that turns the extra options into the command's arguments."""

    def decorate(args_of: Callable[..., Args]) -> click.Command:
        def run(service: str, actor: str | None, reason: str, *, as_json: bool, **given: Any) -> None:
            command = _command(service, verb, args_of(**given), actor or me(), reason)
            send(click.get_current_context().ensure_object(Options), command, as_json=as_json)

        run.__doc__ = args_of.__doc__
        decorated: Any = run
        whom = click.argument("service", metavar="SERVICE")
        for option in (json_option, reason_option, actor_option, *reversed(extra), whom):
            decorated = option(decorated)
        return click.command(verb)(decorated)

    return decorate


def _command(service: str, verb: "Verb", args: Args, actor: str, reason: str) -> "Command":
    from app.core.commands import ONE_SERVICE_ONLY, CommandError, parse

    if service == EVERYWHERE and verb in ONE_SERVICE_ONLY:
        raise click.BadParameter("name one service: this is never done to all of them at once", param_hint="SERVICE")
    wire = {"service": service, "command": verb, "args": args, "actor": actor, "reason": reason}
    try:
        return parse(msgspec.json.encode(wire))
    except CommandError as error:
        raise click.UsageError(str(error)) from None


actor_option = click.option("--actor", help="Who orders it [default: your user name].")
reason_option = click.option("--reason", default="", help="Why, for the log of decisions.")
_decision = click.option(
    "--decision", "decision_id", default="", metavar="ID", help="Of which decision [default: the open one]."
)


@_order("pause")
def pause() -> Args:
    """Start no new change for SERVICE ('*' = all). What runs goes on; `resume` lifts it."""
    return {}


@_order("resume")
def resume() -> Args:
    """Lift pause and freeze of SERVICE ('*' = all)."""
    return {}


@_order("freeze", click.option("--hold", is_flag=True, help="Keep the split as it is, even an open trial."))
def freeze(*, hold: bool) -> Args:
    """The kill switch: revert the open trial of SERVICE ('*' = all) and change nothing more until `resume`."""
    return {"hold": hold}


@_order("promote", _decision)
def promote(*, decision_id: str) -> Args:
    """Take the open trial of SERVICE to 100 % now, without waiting for the verdict."""
    return {"decision_id": decision_id}


@_order("abort", _decision)
def abort(*, decision_id: str) -> Args:
    """End the open trial of SERVICE without a verdict; the incumbent serves."""
    return {"decision_id": decision_id}


@_order("rollback", _decision)
def rollback(*, decision_id: str) -> Args:
    """Go back to what SERVICE served before its last change."""
    return {"decision_id": decision_id}


@_order("approve", _decision)
def approve(*, decision_id: str) -> Args:
    """Say yes to what is proposed for SERVICE."""
    return {"decision_id": decision_id}


@_order("reject", _decision)
def reject(*, decision_id: str) -> Args:
    """Say no to what is proposed for SERVICE."""
    return {"decision_id": decision_id}


@_order("optimize-now")
def optimize_now() -> Args:
    """Run the main loop of SERVICE ('*' = all) at its next closed minute, without waiting for its turn."""
    return {}


@_order("rebaseline")
def rebaseline() -> Args:
    """Make what SERVICE ('*' = all) serves now the baseline of its savings; they are counted afresh."""
    return {}


@_order("set-mode", click.argument("mode", type=click.Choice(["observe", "recommend", "approve", "auto"])))
def set_mode(*, mode: str) -> Args:
    """Set how far SERVICE may act, until its next document."""
    return {"mode": mode}


@_order(
    "share-budget",
    click.argument("share", type=click.FloatRange(0, 1, min_open=True)),
    click.option("--group", default="", help="The group that is meant [default: the one the service is in]."),
)
def share_budget(*, share: float, group: str) -> Args:
    """Set which part (0 to 1) of its group's budget SERVICE may spend, until its next document."""
    return {"share": share, "group": group}


def send(options: Options, command: "Command", *, as_json: bool) -> None:
    """Write ``command`` to the log, and say under which id and where to look for what becomes of it."""
    from app.adapters.kafka.command_log import CommandLog

    settings = options.settings()
    event = CommandLog(settings).send(command)
    if as_json:
        write_json({"id": event, "service": command.service, "command": command.command, "actor": command.actor})
    else:
        whom = "all services" if command.service == EVERYWHERE else command.service
        click.echo(f"{command.command} for {whom} is on {settings.topics.commands} as event {event}")
        about = () if command.service == EVERYWHERE else ("--service", command.service)
        click.echo(f"see what comes of it: {options.command('decisions', '--follow', *about)}", err=True)


def me() -> str:
    """Login name of who runs the command."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "unknown"
