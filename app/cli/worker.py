"""`llm-optimizer worker`: a supervisor that runs each agent as its own process and consumer group."""

import sys
from pathlib import Path

import click

from app.cli.options import Options

NAMES = ("ingest", "optimize", "actuate")


def _chosen(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[str, ...]:
    if value is None:
        return ()
    names = tuple(name.strip() for name in value.split(",") if name.strip())
    for name in names:
        if name not in NAMES:
            raise click.BadParameter(f"{name!r} is no agent: choose from {', '.join(NAMES)}")
    if not names:
        raise click.BadParameter(f"name at least one of {', '.join(NAMES)}")
    return tuple(dict.fromkeys(names))


@click.command
@click.option(
    "--agents",
    callback=_chosen,
    metavar="NAME,...",
    help="Which agents to run [default: ingest,optimize, and actuate when a gateway is set].",
)
@click.option("--agent", type=click.Choice(NAMES), hidden=True, help="Run one agent in this process (a child).")
@click.option("--supervised", is_flag=True, hidden=True, help="This process ends with its parent.")
@click.option(
    "--tee", type=click.Path(dir_okay=False, path_type=Path), help="Append the facts that are folded, for `replay`."
)
@click.pass_obj
def worker(options: Options, agents: tuple[str, ...], agent: str | None, tee: Path | None, *, supervised: bool) -> int:
    """Run the agents until SIGTERM.

    Several workers with the same settings share the work. Exit codes: 0 after SIGTERM; 5 no broker answered; 7 topics
    are missing or wrong; of a single agent also 3 a flush failed, 4 its state could not be loaded, 6 it crashed,
    8 its supervisor is gone, 9 the schema registry is down or refuses a schema; 78 a folder cannot be written. A
    worker may be killed at any moment: nothing is lost or counted twice.
    """
    if supervised:  # before what takes seconds to import: a child of a dead supervisor would join the group
        from app.adapters.process.orphan import die_with_parent

        die_with_parent()
    from app.adapters.telemetry.log import configure_logging
    from app.main import run_agent, run_supervisor

    settings = options.settings()
    configure_logging(settings.log)
    if agent is not None:
        return run_agent(settings, agent, tee, supervised=supervised)  # type: ignore[arg-type]  # click checked it
    actuates = settings.gateway.kind != "none" or settings.gateway.desired_key
    chosen = agents or (NAMES if actuates else NAMES[:2])
    return run_supervisor(settings, {name: _command(options, name, tee) for name in chosen})


def _command(options: Options, agent: str, tee: Path | None) -> list[str]:
    """The command line of one agent's process, with the same settings."""
    command = [sys.executable, "-m", "app.cli.main"]
    if options.config is not None:
        command += ["--config", str(options.config)]
    for name, value in options.flags.items():
        command += ["--set", f"{name}={value}"]
    command += ["worker", "--agent", agent, "--supervised"]
    return [*command, "--tee", str(tee)] if tee is not None and agent == "optimize" else command
