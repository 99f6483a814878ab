"""`llm-optimizer what-if DECISION_ID --set KEY=VALUE`: what the rules say under other weights, limits or policies."""

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from app.cli.options import Options
from app.cli.output import json_option, write_columns, write_json

if TYPE_CHECKING:
    from app.core.decision import Decision
    from app.core.what_if import Answer


@click.command("what-if")
@click.argument("decision_id")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="A key of the service document, as in objective.weights.cost=0.5 or limits.latency_ms=900; may be repeated.",
)
@click.option(
    "--facts",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Look for the decision in recorded facts instead of llm.optimizations.",
)
@json_option
@click.pass_obj
def what_if(
    options: Options, decision_id: str, settings: tuple[str, ...], facts: Path | None, *, as_json: bool
) -> None:
    """Decide DECISION_ID (its first characters are enough) again with other weights, limits or policies.

    The rules decide from the evidence kept with the decision; nothing is sent and nothing changes. Weights that are not
    given share what is left of 1. Arms, prices and policies are named: arms.small.region=eu.
    """
    from app.core import what_if as rules
    from app.core.document import DocumentError

    before = _decision(options, decision_id, facts)
    try:
        answer = rules.what_if(before, dict(_setting(text) for text in settings))
    except (rules.WhatIfError, DocumentError) as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        write_json({"before": before, "after": _plain(answer)})
    else:
        _print(before, answer)


def _decision(options: Options, prefix: str, facts: Path | None) -> "Decision":
    from app.core.decision import Decision

    told = _in_facts(options, facts) if facts is not None else _in_log(options, prefix)
    found = {str(data["decision_id"]): data for data in told if str(data.get("decision_id", "")).startswith(prefix)}
    if not found:
        raise click.ClickException(f"no decision begins with {prefix!r}: `llm-optimizer decisions` lists them")
    if len(found) > 1:
        raise click.ClickException(f"{len(found)} decisions begin with {prefix!r}: {', '.join(sorted(found)[:5])}...")
    try:
        return msgspec.convert(next(iter(found.values())), Decision)
    except msgspec.ValidationError as error:
        raise click.ClickException(f"{next(iter(found))}: not a decision this version can read ({error})") from None


def _in_log(options: Options, prefix: str) -> list[dict[str, Any]]:
    from app.adapters.readmodel.told import DECISIONS
    from app.cli.reading import glance

    with glance(options, "optimizations") as filled:
        found = [filled.model.decision(identity) for identity in filled.model.decisions_beginning(prefix)]
    return [event.data for events in found for event in events if event.status in DECISIONS]


def _in_facts(options: Options, facts: Path) -> list[dict[str, Any]]:
    from app.cli.replay import outputs
    from app.core.decision import EVENT_TYPES

    types = frozenset(EVENT_TYPES.values())
    return [msgspec.json.decode(said.data) for said in outputs(facts, options.settings()) if said.type in types]


def _setting(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise click.UsageError(f"--set {text}: write it as KEY=VALUE, as in --set objective.weights.cost=0.5")
    return key.strip(), _value(value.strip())


def _value(text: str) -> Any:
    """A TOML value; what is none is text."""
    number = f"0{text}" if text.startswith(".") else text
    try:
        return tomllib.loads(f"value = {number}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _plain(answer: "Answer") -> dict[str, Any]:
    return {
        "decisions": [{"status": said.status, **msgspec.to_builtins(said.decision)} for said in answer.said],
        "why_not": answer.why_not,
        "alternatives": answer.alternatives,
    }


def _print(before: "Decision", answer: "Answer") -> None:
    click.echo(f"was    {before.rationale}")
    for said in answer.said:
        click.echo(f"would  {said.decision.rationale}")
    if not answer.said:
        click.echo(f"would  No change: {answer.why_not}.")
    alternatives = answer.said[-1].decision.alternatives if answer.said else answer.alternatives
    if alternatives:
        click.echo("\nAlternatives, and why not")
        write_columns([(f"  {a.arm}", a.why_not) for a in alternatives])
