"""`decisions`, `explain` and `status`: what the optimizer said, read from its public topics."""

import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import click
import msgspec

from app.cli.options import Options
from app.cli.output import json_option, write_columns, write_json, write_json_line

if TYPE_CHECKING:
    from app.adapters.readmodel.told import Told
    from app.settings import Settings

MAX_RECORDS = 20_000
"""Newest records read from each partition of `llm.optimizations`; older decisions need `replay` or a sink."""
RATIONALE_WIDTH = 90
HEADER = ("TIME", "SERVICE", "STATUS", "ACTION", "VERSION", "DECISION", "WHY")


@click.command
@click.option("--service", help="Only of this service.")
@click.option("--since", metavar="TIME", help="Only from this RFC 3339 time on, or of the last 90s, 15m, 24h, 7d.")
@click.option("--status", "statuses", multiple=True, help="Only these: proposed, decided, refused, verified, ...")
@click.option("--limit", type=click.IntRange(1, MAX_RECORDS), default=200, show_default=True, help="Newest ones shown.")
@json_option
@click.pass_obj
def decisions(
    options: Options, service: str | None, since: str | None, statuses: tuple[str, ...], limit: int, *, as_json: bool
) -> None:
    """List decisions and their outcomes, oldest first. With --json one event a line."""
    from app.adapters.readmodel.told import STATUSES

    unknown = sorted(set(statuses) - set(STATUSES.values()))
    if unknown:
        raise click.BadParameter(f"{unknown[0]!r}: choose from {', '.join(STATUSES.values())}", param_hint="--status")
    since_s = None if since is None else _since_s(since, time.time())
    wanted = [
        event
        for event in all_told(options.settings())
        if service in {None, event.service} and (not statuses or event.status in statuses) and _after(event, since_s)
    ]
    shown = sorted(wanted, key=lambda event: event.time)[-limit:]
    if as_json:
        for event in shown:
            write_json_line(_plain(event))
    elif shown:
        write_columns(
            map(_columns, shown), header=("TIME", "SERVICE", "STATUS", "ACTION", "VERSION", "DECISION", "WHY")
        )
    else:
        click.echo("no decisions yet")


@click.command
@click.argument("decision_id")
@json_option
@click.pass_obj
def explain(options: Options, decision_id: str, *, as_json: bool) -> None:
    """Explain the decision DECISION_ID (its first characters are enough) with its evidence and what became of it."""
    about = [event for event in all_told(options.settings()) if event.decision_id.startswith(decision_id)]
    found = sorted({event.decision_id for event in about})
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


@click.command
@click.option("--service", help="Only this service.")
@json_option
@click.pass_obj
def status(options: Options, service: str | None, *, as_json: bool) -> None:
    """Show what each service serves now: mode, split, open trial, and how far behind the optimizer is."""
    from app.sim.standing import standings

    rows = [row for row in standings(options.settings(), now_s=time.time()) if service in {None, row.service}]
    if as_json:
        write_json(rows)
    elif rows:
        write_columns(
            [(r.service, r.mode or "-", r.version, r.serving, r.trial or "-", r.closed or "-", r.behind) for r in rows],
            header=("SERVICE", "MODE", "VERSION", "SERVING", "TRIAL", "COUNTED UP TO", "BEHIND"),
        )
    else:
        click.echo("no service is known yet: apply a document (`llm-optimizer service apply`) or send telemetry")


def all_told(settings: "Settings") -> list["Told"]:
    from app.adapters.kafka.security import librdkafka
    from app.adapters.kafka.subscriber import Subscriber
    from app.adapters.readmodel.told import first_of_each, told

    with Subscriber(librdkafka(settings.kafka), [settings.topics.optimizations], tail=MAX_RECORDS) as reader:
        events: Iterable[Told | None] = map(told, reader.until_now())
        return list(first_of_each(event for event in events if event is not None))


def _since_s(text: str, now_s: float) -> float:
    from app.core.events import epoch_s

    units = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
    if text[-1:] in units and text[:-1].isdigit():
        return now_s - int(text[:-1]) * units[text[-1]]
    try:
        return epoch_s(text)
    except ValueError as error:
        raise click.BadParameter(f"{error}; write 2026-01-31T12:00:00Z or 24h", param_hint="--since") from error


def _after(event: "Told", since_s: float | None) -> bool:
    from app.core.events import epoch_s

    return since_s is None or epoch_s(event.time) >= since_s


def _plain(event: "Told") -> dict[str, Any]:
    return {
        "id": event.id,
        "type": event.type,
        "status": event.status,
        "time": event.time,
        "service": event.service,
        "data": event.data,
    }


def _columns(event: "Told") -> tuple[str, ...]:
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


def _explained(about: list["Told"]) -> Iterator[str]:
    """Text for people: the decision first, then what became of it."""
    from app.core.decision import Decision, Status
    from app.core.explain import render

    for event in (event for event in about if event.is_decision):
        status: Status = msgspec.convert(event.status, Status)
        try:
            page = render(msgspec.convert(event.data, Decision), status)
        except msgspec.ValidationError:  # of another engine version, or a refused order: what it says of itself
            page = f"{event.rationale}\n\n{msgspec.json.format(msgspec.json.encode(event.data), indent=2).decode()}"
        yield f"{event.status} at {event.time}"
        yield page.rstrip()
    outcomes = [event for event in about if not event.is_decision]
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
