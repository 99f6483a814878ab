"""`trials` and `experiment create|list|stop`: what is tried against what serves, and what came of it."""

from typing import TYPE_CHECKING

import click

from app.cli.control import actor_option, me, reason_option, send
from app.cli.options import Options
from app.cli.output import json_option, write_columns, write_json
from app.cli.reading import glance

if TYPE_CHECKING:
    from app.adapters.readmodel.answers import Trial
    from app.adapters.readmodel.experiments import Experiment
    from app.core.document import ServiceDocument

MAX_EXPERIMENTS = 20_000


@click.command
@click.option("--service", default="", help="Only of this service.")
@click.option("--status", type=click.Choice(["running", "completed"]), default=None, help="Only these.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="Newest ones shown.")
@json_option
@click.pass_obj
def trials(options: Options, service: str, status: str | None, limit: int, *, as_json: bool) -> None:
    """List trials, the newest first: who was tried against whom, how far it went, how it ended and why."""
    with glance(options, "optimizations") as filled:
        found = filled.model.trials(status=status or "", service=service, limit=limit)
    if as_json:
        write_json(found)
    elif found:
        header = ("SERVICE", "ARM", "AGAINST", "SHARE", "STATUS", "BEGAN", "ENDED", "HOW", "WHY")
        write_columns(map(_trial, found), header=header)
    else:
        click.echo("no trials yet: a service in mode auto opens one when an arm promises more than what serves")


def _trial(one: "Trial") -> tuple[object, ...]:
    began, ended = one.start_time[:19], (one.end_time or "-")[:19]
    share = f"{one.share:.0%}"
    return (
        one.service, one.arm, one.control_arm, share, one.status, began, ended, one.ended_with or "-",
        one.conclusion or "-",
    )  # fmt: skip


@click.group
def experiment() -> None:
    """Order an experiment, list them, stop one."""


@experiment.command
@click.argument("service")
@click.option("--arm", "arms", multiple=True, required=True, help="An arm to be tried; repeat it for several.")
@click.option("--name", default="", help="What to call it.")
@click.option("--hypothesis", default="", help="What you expect, for the log.")
@click.option(
    "--scored-max",
    type=click.IntRange(0, 1_000_000_000),
    default=0,
    show_default=True,
    help="Scored answers each slice gets at most; 0: open end.",
)
@actor_option
@reason_option
@json_option
@click.pass_obj
def create(
    options: Options,
    service: str,
    arms: tuple[str, ...],
    name: str,
    hypothesis: str,
    scored_max: int,
    actor: str | None,
    reason: str,
    *,
    as_json: bool,
) -> None:
    """Have arms of SERVICE's document tried against whoever serves: together where the gateway can, else in turn."""
    from app.core.commands import Command, ExperimentStart

    with glance(options, "commands") as filled:
        document = filled.model.document(service)
    check(service, document, arms)
    args = ExperimentStart(arms=arms, name=name, hypothesis=hypothesis, scored_max=scored_max)
    order = Command(service=service, command="experiment.start", args=args, actor=actor or me(), reason=reason)
    send(options, order, as_json=as_json)


def check(service: str, document: "ServiceDocument | None", arms: tuple[str, ...]) -> None:
    """Raises ``click.ClickException`` with the next step where the order could only be refused."""
    if document is None:
        raise click.ClickException(
            f"{service!r} has no document: apply one with these arms first (`llm-optimizer service apply FILE`)"
        )
    if unknown := [arm for arm in arms if document.arm(arm) is None]:
        raise click.ClickException(
            f"{service} has no arm {unknown[0]!r}, it has {', '.join(document.arm_names)}: add it to the document "
            f"(`llm-optimizer service show {service}`) and apply that first"
        )
    if document.mode == "observe":
        raise click.ClickException(
            f"{service} observes and tries nothing: `llm-optimizer set-mode {service} auto` lets it"
        )


@experiment.command("list")
@click.option("--service", default="", help="Only of this service.")
@json_option
@click.pass_obj
def list_(options: Options, service: str, *, as_json: bool) -> None:
    """List experiments, the newest last: what is tried, who won and why."""
    from app.adapters.readmodel.experiments import TYPES, experiments
    from app.adapters.readmodel.paging import Wanted

    wanted = Wanted().where("service = ?", service).one_of("type", TYPES)
    with glance(options, "optimizations") as filled:
        found = experiments(filled.model.newest_events(wanted, MAX_EXPERIMENTS))
    if as_json:
        write_json(found)
    elif found:
        header = ("EXPERIMENT", "SERVICE", "NAME", "STATUS", "BEGAN", "ARMS", "WINNER", "CONCLUSION")
        write_columns([_row(one) for one in found], header=header)
    else:
        click.echo("no experiments yet: `llm-optimizer experiment create SERVICE --arm ARM` orders one")


def _row(one: "Experiment") -> tuple[object, ...]:
    return (
        one.experiment_id[:12], one.service, one.name or "-", one.status, one.began[:19], ", ".join(one.arms),
        one.winner or "-", one.conclusion or "-",
    )  # fmt: skip


@experiment.command
@click.argument("service")
@click.option("--experiment", "experiment_id", default="", metavar="ID", help="Which one [default: the oldest open].")
@actor_option
@reason_option
@json_option
@click.pass_obj
def stop(options: Options, service: str, experiment_id: str, actor: str | None, reason: str, *, as_json: bool) -> None:
    """Begin no further trial of an experiment of SERVICE; an open one goes on as a trial of its own."""
    from app.core.commands import Command, ExperimentStop

    args = ExperimentStop(experiment_id=experiment_id)
    order = Command(service=service, command="experiment.stop", args=args, actor=actor or me(), reason=reason)
    send(options, order, as_json=as_json)
