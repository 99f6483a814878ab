"""`decisions` and `explain`: what the optimizer said and why, and what became of it."""

import time
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import click
import msgspec

from app.cli.moments import since_s
from app.cli.options import Options
from app.cli.output import json_option, write_columns, write_json, write_json_line
from app.cli.reading import follow, glance

if TYPE_CHECKING:
    from app.adapters.readmodel.answers import DecisionEvent
    from app.adapters.readmodel.paging import Wanted

MAX_SHOWN = 20_000
RATIONALE_WIDTH = 90
HEADER = ("TIME", "SERVICE", "STATUS", "ACTION", "VERSION", "DECISION", "WHY")
FOLLOWED = "{:<19}  {:<16}  {:<11}  {:<14}  {:<7}  {:<12}  {}"
"""A line of `--follow`, where what comes later is not known and columns cannot be fitted."""


@click.command
@click.option("--service", help="Only of this service.")
@click.option("--since", metavar="TIME", help="Only from this RFC 3339 time on, or of the last 90s, 15m, 24h, 7d.")
@click.option("--status", "statuses", multiple=True, help="Only these: proposed, decided, refused, verified, ...")
@click.option("--limit", type=click.IntRange(1, MAX_SHOWN), default=200, show_default=True, help="Newest ones shown.")
@click.option("--follow", "-f", "stays", is_flag=True, help="Stay, and print new ones as they come, until Ctrl-C.")
@json_option
@click.pass_obj
def decisions(
    options: Options,
    service: str | None,
    since: str | None,
    statuses: tuple[str, ...],
    limit: int,
    *,
    stays: bool,
    as_json: bool,
) -> None:
    """List decisions and their outcomes, oldest first. With --json one event a line."""
    wanted = _wanted(service, since, statuses)
    with glance(options, "optimizations") as filled:
        shown = filled.model.newest_events(wanted, limit)
        if not stays:
            _print(shown, as_json=as_json)
            return
        place = filled.model.place_of()
        _print_lines(shown, as_json=as_json, header=True)
        for _ in follow(filled):
            while newer := filled.model.newer_than(place, wanted):
                place = newer[-1][0]
                _print_lines([event for _, event in newer], as_json=as_json)


def _wanted(service: str | None, since: str | None, statuses: tuple[str, ...]) -> "Wanted":
    from app.adapters.readmodel.paging import Wanted
    from app.adapters.readmodel.told import STATUSES

    unknown = sorted(set(statuses) - set(STATUSES.values()))
    if unknown:
        allowed = ", ".join(dict.fromkeys(STATUSES.values()))
        raise click.BadParameter(f"{unknown[0]!r}: choose from {allowed}", param_hint="--status")
    wanted = Wanted().where("service = ?", service).one_of("status", statuses)
    return wanted if since is None else wanted.where("time_s >= ?", since_s(since, time.time()))


def _print(events: "list[DecisionEvent]", *, as_json: bool) -> None:
    if as_json:
        _print_lines(events, as_json=True)
    elif events:
        write_columns(map(_columns, events), header=HEADER)
    else:
        click.echo("no decisions yet: `llm-optimizer status` shows whether traffic is counted")


def _print_lines(events: "list[DecisionEvent]", *, as_json: bool, header: bool = False) -> None:
    if as_json:
        for event in events:
            write_json_line(_plain(event))
        return
    for cells in ([HEADER] if header else []) + [_columns(event) for event in events]:
        click.echo(FOLLOWED.format(*cells))


@click.command
@click.argument("decision_id")
@json_option
@click.pass_obj
def explain(options: Options, decision_id: str, *, as_json: bool) -> None:
    """Explain the decision DECISION_ID (its first characters are enough) with its evidence and what became of it."""
    with glance(options, "optimizations") as filled:
        found = filled.model.decisions_beginning(decision_id)
        about = filled.model.decision(found[0]) if len(found) == 1 else []
    if not found:
        raise click.ClickException(
            f"no decision begins with {decision_id!r}: `{options.command('decisions')}` lists them"
        )
    if len(found) > 1:
        raise click.ClickException(
            f"{len(found)} decisions begin with {decision_id!r}: {', '.join(islice(found, 5))}..."
        )
    if as_json:
        write_json([_plain(event) for event in about])
    else:
        click.echo("\n".join(_explained(about)))


def _plain(event: "DecisionEvent") -> dict[str, Any]:
    return {
        "id": event.id,
        "type": event.type,
        "status": event.status,
        "time": event.time,
        "service": event.service,
        "data": event.data,
    }


def _columns(event: "DecisionEvent") -> tuple[str, ...]:
    why = event.rationale
    return (
        event.time[:19],
        event.service,
        event.status,
        event.action or "-",
        str(event.data.get("version", "-")),
        event.decision_id[:12],
        why if len(why) <= RATIONALE_WIDTH else f"{why[: RATIONALE_WIDTH - 3]}...",
    )


def _explained(about: "list[DecisionEvent]") -> Iterator[str]:
    """Text for people: the decision first, then what became of it."""
    from app.adapters.readmodel.told import DECISIONS
    from app.core.decision import Decision, Status
    from app.core.explain import render

    for event in (event for event in about if event.status in DECISIONS):
        status: Status = msgspec.convert(event.status, Status)
        try:
            page = render(msgspec.convert(event.data, Decision), status)
        except msgspec.ValidationError:  # of another engine version, or a refused order: what it says of itself
            page = f"{event.rationale}\n\n{msgspec.json.format(msgspec.json.encode(event.data), indent=2).decode()}"
        yield f"{event.status} at {event.time}"
        yield page.rstrip()
    outcomes = [event for event in about if event.status not in DECISIONS]
    if outcomes:
        yield "\nWhat became of it"
    for event in outcomes:
        yield f"  {event.time}  {event.status}{_observed(event.data)}"
        yield from _realised(event.data)


def _realised(data: dict[str, Any]) -> Iterator[str]:
    """The measured impact beside the expected one, where an outcome ends a trial."""
    from app.core.decision import Impact
    from app.core.explain import realised

    impacts = (data.get(name) or {} for name in ("expected_impact", "realised_impact"))
    try:
        text = realised(*(msgspec.convert(impact, dict[str, Impact]) for impact in impacts))
    except msgspec.ValidationError:  # of another engine version
        return
    if text:
        yield f"\nRealised impact (the trial against its concurrent control)\n{text}"


def _observed(data: dict[str, Any]) -> str:
    if data.get("error"):
        return f": {data['error']}"
    if data.get("realised_impact"):
        return ""
    observed, expected = data.get("observed_share"), data.get("expected_share")
    if observed is None or expected is None:
        return f" by {data.get('gateway') or 'the gateway'}"
    return f": {observed:.1%} of {data.get('requests', 0)} requests ({expected:.1%} expected)"
