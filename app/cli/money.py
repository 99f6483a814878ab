"""`savings` and `budget`: what was proven to be saved, and how much of the budgets is spent."""

from typing import TYPE_CHECKING, Any

import click

from app.cli.options import Options
from app.cli.output import json_option, write_columns, write_json
from app.cli.reading import glance

if TYPE_CHECKING:
    from app.adapters.readmodel.answers import SavingsClaim
    from app.adapters.readmodel.spending import Spending

NO_SAVINGS = (
    "nothing was said of savings yet: a service says it once an hour, when its document has a holdout_share and its "
    "answers have a cost"
)
NO_BUDGET = "no service has a budget and counted traffic: put [budget] day_usd = 40.0 into its document and apply it"


@click.command
@click.option("--service", help="Only of this service.")
@json_option
@click.pass_obj
def savings(options: Options, service: str | None, *, as_json: bool) -> None:
    """Show what each service is proven to save against its holdout, as last told."""
    with glance(options, "aggregates_hourly") as filled:
        names = [name for name in filled.model.with_savings() if service in {None, name}]
        found = [claim for name in names for claim in filled.model.savings(name, 1)]
    if as_json:
        write_json([{"time": claim.time, **claim.data} for claim in found])
    elif found:
        header = ("SERVICE", "BASELINE", "SAVED PER 1,000", "INTERVAL", "REQUESTS", "HOLDOUT", "AS OF", "PROVEN")
        write_columns(map(_claim, found), header=header)
    else:
        click.echo(NO_SAVINGS)


def _claim(claim: "SavingsClaim") -> tuple[object, ...]:
    said: dict[str, Any] = claim.data
    low, high = said.get("low"), said.get("high")
    interval = "-" if low is None or high is None else f"{_usd(1000 * low)} to {_usd(1000 * high)}"
    proven = "yes" if said.get("proven") else f"no: {said.get('why_not', '')}"
    return (
        claim.service,
        said.get("baseline", "-"),
        _usd(1000 * float(said.get("saving", 0.0))),
        interval,
        f"{said.get('requests', 0):,}",
        f"{said.get('holdout_requests', 0):,}",
        claim.time[:16],
        proven,
    )


@click.command
@click.option("--service", help="Only of this service.")
@json_option
@click.pass_obj
def budget(options: Options, service: str | None, *, as_json: bool) -> None:
    """Show how much of each budget is spent, and where the present pace leads."""
    from app.adapters.readmodel.spending import spendings

    roles = ("commands", "optimizations", "aggregates", "aggregates_hourly")
    with glance(options, *roles, newest={"optimizations": 2_000, "aggregates": 10_000}) as filled:
        names = [name for name in filled.model.names() if service in {None, name}]
        found = [spending for name in names for spending in spendings(filled.model, name)]
    if as_json:
        write_json(found)
    elif found:
        header = ("SERVICE", "PERIOD", "BUDGET", "SPENT", "OF BUDGET", "OF TIME", "AT THIS PACE", "COUNTED UP TO")
        write_columns(map(_spending, found), header=header)
    else:
        click.echo(NO_BUDGET)


def _spending(one: "Spending") -> tuple[object, ...]:
    pace = "-" if one.at_this_pace_usd is None else _usd(one.at_this_pace_usd)
    of_budget = f"{one.spent_usd / one.budget_usd:.0%}" if one.budget_usd else "-"
    return (
        one.service,
        f"{one.period}, {one.segment}" if one.segment else one.period,
        _usd(one.budget_usd),
        _usd(one.spent_usd),
        of_budget,
        f"{one.elapsed:.0%}",
        pace,
        one.until[:16],
    )


def _usd(amount: float) -> str:
    return f"-${-amount:,.2f}" if amount < 0 else f"${amount:,.2f}"
