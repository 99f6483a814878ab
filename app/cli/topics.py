"""`llm-optimizer topics plan|apply`: what the topics should be, what they are, and making them so."""

import click

from app.cli.options import Options
from app.cli.output import json_option, write_columns, write_json
from app.topics import Difference

partitions_option = click.option(
    "--partitions",
    type=click.IntRange(1, 1000),
    help="Partitions of topics that are made [default: topics.partitions].",
)


@click.group
def topics() -> None:
    """Show and make the Kafka topics."""


@topics.command
@partitions_option
@json_option
@click.pass_obj
def plan(options: Options, partitions: int | None, *, as_json: bool) -> None:
    """Show what `topics apply` would do, and what merely differs. Changes nothing; exit code 0 either way."""
    from app.adapters.kafka.admin import KafkaAdmin, differences

    settings = options.settings(topics__partitions=partitions)
    _print(differences(settings, KafkaAdmin(settings)), "would be done", as_json=as_json)


@topics.command
@partitions_option
@json_option
@click.pass_obj
def apply(options: Options, partitions: int | None, *, as_json: bool) -> None:
    """Make missing topics and mend wrong ones. Running it again changes nothing."""
    from app.adapters.kafka.admin import KafkaAdmin
    from app.adapters.kafka.admin import apply as mend

    settings = options.settings(topics__partitions=partitions)
    _print(mend(settings, KafkaAdmin(settings)), "done", as_json=as_json)


def _print(differences: list[Difference], wrong_is: str, *, as_json: bool) -> None:
    rows = [_row(difference, wrong_is) for difference in differences]
    if as_json:
        write_json(rows)
    elif rows:
        write_columns([list(row.values()) for row in rows], header=[name.upper() for name in rows[0]])
    else:
        click.echo("the topics are as declared: nothing to do")


def _row(difference: Difference, wrong_is: str) -> dict[str, str]:
    action = "make" if difference.kind == "missing" else "set"
    return {
        "topic": difference.topic.name,
        "action": f"{action}: {wrong_is}" if difference.wrong else "left as it is",
        "setting": difference.setting,
        "wanted": difference.wanted,
        "found": difference.found or "-",
    }
