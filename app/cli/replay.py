"""`llm-optimizer replay FACTS`: decide again from the facts a worker has teed, and print what comes out."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from app.cli.options import Options
from app.cli.output import write_json_line
from app.core.events import rfc3339
from app.core.outputs import Output

if TYPE_CHECKING:
    from app.settings import Settings


@click.command
@click.argument("facts", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--all", "everything", is_flag=True, help="Splits, aggregates and findings, too.")
@click.option("--service", help="Only of this service.")
@click.pass_obj
def replay(options: Options, facts: Path, service: str | None, *, everything: bool) -> None:
    """Decide again from FACTS (`worker --tee FACTS`) and print every decision as one JSON line.

    The same engine and the same facts give the same decisions, byte for byte: of the settings, only
    ingest.lateness_s and optimize.silent_s count, which must be those of the worker.
    """
    for output in outputs(facts, options.settings()):
        if (everything or output.role == "optimizations") and service in {None, output.service}:
            write_json_line(_line(output))


def outputs(facts: Path, settings: "Settings") -> Iterator[Output]:
    """What the engine says to the facts in the file."""
    from app.adapters.kafka.tee import frames
    from app.core.replay import replay as decide

    return decide(frames(facts), lateness_s=int(settings.ingest.lateness_s), silent_s=int(settings.optimize.silent_s))


def _line(output: Output) -> dict[str, Any]:
    return {
        "id": output.id,
        "type": output.type,
        "time": rfc3339(output.time_s),
        "service": output.service,
        "data": msgspec.Raw(output.data),
    }
