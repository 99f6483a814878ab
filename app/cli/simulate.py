"""`llm-optimizer simulate SCENARIO.toml`: what the optimizer would do in a world you describe. No Kafka, no clock."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.cli.output import json_option, write_columns, write_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.sim.outcome import Decided, Delay, Saved, ServiceOutcome
    from app.sim.simulation import Simulation


@click.command
@click.argument("scenario", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--seed", type=click.IntRange(0), help="Another day in the same world [default: the scenario's].")
@click.option("--hours", type=click.FloatRange(0, 24 * 31, min_open=True), help="Event time [default: the scenario's].")
@json_option
def simulate(scenario: Path, seed: int | None, hours: float | None, *, as_json: bool) -> None:
    """Play SCENARIO against the optimizer and print what it decided, how soon, and what it truly saved.

    The same scenario and seed give the same bytes. docs/simulate.md explains the file.
    """
    import msgspec

    from app.sim.outcome import outcome_of
    from app.sim.scenario import load
    from app.sim.simulation import Simulation

    world = load(scenario)
    world = world if seed is None else msgspec.structs.replace(world, seed=seed)
    world = world if hours is None else msgspec.structs.replace(world, hours=hours)
    simulation = Simulation(world, scenario.parent)
    with _progress(simulation) as told:
        simulation.run(told)
    outcome = outcome_of(simulation)
    if as_json:
        write_json(outcome)
        return
    for service in outcome.services:
        _print(service)
    click.echo(f"{outcome.hours:g} h of event time, {outcome.requests:,} requests, seed {outcome.seed}")


@contextmanager
def _progress(simulation: "Simulation") -> "Iterator[Callable[[int], None]]":
    from rich.console import Console
    from rich.progress import Progress

    begin_s = simulation.loop.start_s
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(simulation.scenario.name, total=simulation.loop.end_s - begin_s)
        yield lambda now_s: bar.update(task, completed=now_s - begin_s)


def _print(service: "ServiceOutcome") -> None:
    click.echo(f"{service.service}: {service.incumbent or 'nothing'} serves, {service.state}")
    write_columns(("", _clock(d.minute), d.status, d.why) for d in _told(service))
    for delay in service.delays:
        click.echo(f"  {_delay(delay)}")
    click.echo(f"  {_saved(service.saved)}")
    click.echo("")


def _told(service: "ServiceOutcome") -> "list[Decided]":
    """Decisions, and the findings from warning on, by time."""
    findings = [f for f in service.findings if f.strategy != "info" and f.status == "open"]
    return sorted((*service.decisions, *findings), key=lambda told: told.minute)


def _clock(minute: float) -> str:
    return f"{int(minute) // 60:02d}:{int(minute) % 60:02d}"


def _delay(delay: "Delay") -> str:
    parts = [f"{delay.fault} of {delay.arm} at {_clock(delay.began_min)}"]
    parts.append("not noticed" if delay.noticed_min is None else f"noticed after {delay.noticed_min:g} min")
    parts.append("not answered" if delay.answered_min is None else f"{delay.answer} after {delay.answered_min:g} min")
    if delay.settled_min is not None:
        parts.append(f"{delay.settled_on} answers after {delay.settled_min:g} min")
    return "; ".join(parts)


def _saved(saved: "Saved") -> str:
    true = "nothing is known" if saved.true is None else f"in truth {_usd(saved.true)}"
    if saved.claimed is None:
        return f"saved: {saved.why_not}; {true}"
    interval = "" if saved.low is None or saved.high is None else f" ({_usd(saved.low)} to {_usd(saved.high)})"
    proof = "proven" if saved.proven else f"not proven: {saved.why_not}"
    return f"saved: {_usd(saved.claimed)}{interval} per 1,000 requests, {proof}; {true}"


def _usd(per_request: float) -> str:
    return f"${1000 * per_request:,.2f}"
