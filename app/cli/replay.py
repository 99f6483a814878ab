"""`llm-optimizer replay FACTS`: decide again from the facts a worker has teed, and print what comes out."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from app.cli.options import Options
from app.cli.output import write_json_line
from app.cli.progress import Report, progress
from app.core.events import rfc3339
from app.core.outputs import Output

if TYPE_CHECKING:
    from app.adapters.kafka.tee import Frame
    from app.core.compare import Difference, Made
    from app.core.replay import FactsFrame
    from app.settings import Settings

FRAME_BYTES = 20
"""About what a frame takes beside its value."""
SIGNS = {"same": " ", "reasons": "~", "removed": "-", "added": "+"}


@click.command
@click.argument("facts", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--all", "everything", is_flag=True, help="Splits, aggregates and findings, too.")
@click.option("--service", help="Only of this service.")
@click.option(
    "--document",
    type=click.Path(path_type=Path),
    metavar="OTHER.toml",
    help="Compare with the decisions under this service document, from its service's first one on.",
)
@click.option("--json", "as_json", is_flag=True, help="With --document: print JSON lines. (Without it, always.)")
@click.pass_obj
def replay(
    options: Options, facts: Path, service: str | None, document: Path | None, *, everything: bool, as_json: bool
) -> None:
    """Decide again from FACTS (`worker --tee FACTS`) and print every decision as one JSON line.

    The same engine and the same facts give the same decisions, byte for byte: of the settings, only
    ingest.lateness_s and optimize.silent_s count, which must be those of the worker.

    With --document OTHER.toml the decisions of its service are compared with those under that document: `-` gone, `+`
    new, `~` the same for other reasons. Recorded traffic followed the recorded decisions, so from the first difference
    on an arm that got none shows nothing.
    """
    if document is not None:
        _compare(facts, document, options.settings(), as_json=as_json)
        return
    for output in outputs(facts, options.settings()):
        if (everything or output.role == "optimizations") and service in {None, output.service}:
            write_json_line(_line(output))


def outputs(facts: Path, settings: "Settings") -> Iterator[Output]:
    """What the engine says to the facts in the file."""
    from app.core.replay import replay as decide

    lateness_s, silent_s = int(settings.ingest.lateness_s), int(settings.optimize.silent_s)
    with progress("deciding again") as report:
        yield from decide(_read(facts, report), lateness_s=lateness_s, silent_s=silent_s)


def _read(facts: Path, report: Report) -> Iterator["Frame"]:
    """The frames of the file; ``report`` is told about how many of its bytes were read."""
    from app.adapters.kafka.tee import frames

    size, done = facts.stat().st_size, 0
    for frame in frames(facts):
        done += len(frame.value) + FRAME_BYTES
        report(min(done, size), size)
        yield frame


def _line(output: Output) -> dict[str, Any]:
    return {
        "id": output.id,
        "type": output.type,
        "time": rfc3339(output.time_s),
        "service": output.service,
        "data": msgspec.Raw(output.data),
    }


# ---- another document ----
def _compare(facts: Path, document: Path, settings: "Settings", *, as_json: bool) -> None:
    from app.cli.service import read
    from app.core import compare
    from app.core.replay import replay as decide
    from app.core.swap import Swap

    other = read(document)
    swap, clocks = Swap(other), (int(settings.ingest.lateness_s), int(settings.optimize.silent_s))

    def run(recorded: "Iterable[FactsFrame]") -> "list[Made]":
        decided = compare.made(decide(recorded, lateness_s=clocks[0], silent_s=clocks[1]))
        return [one for one in decided if one.service == other.service]

    with progress("deciding again") as report:
        before = run(_read(facts, lambda done, size: report(done, 2 * size)))
        after = run(swap.frames(_read(facts, lambda done, size: report(size + done, 2 * size))))
    if not swap.count:
        raise click.ClickException(
            f"{facts} has no configure command of {other.service!r}: it was configured before the recording began"
        )
    found = compare.compared(before, after)
    if as_json:
        for difference in found:
            write_json_line(
                {"sign": difference.sign, **{k: _plain(getattr(difference, k)) for k in ("before", "after")}}
            )
    else:
        _print(found, compare.parted_s(found))


def _plain(one: "Made | None") -> dict[str, Any] | None:
    if one is None:
        return None
    return {"time": rfc3339(one.time_s), "service": one.service, "status": one.status, "data": one.data}


def _print(found: "list[Difference]", parted_s: int | None) -> None:
    for difference in found:
        one = difference.before or difference.after
        if one is None:
            continue
        if difference.sign == "reasons" and difference.after is not None:
            click.echo(f"~ {rfc3339(one.time_s)}  {one.status}  {difference.after.why}")
            click.echo(f"      was: {one.why}")
        else:
            click.echo(f"{SIGNS[difference.sign]} {rfc3339(one.time_s)}  {one.status}  {one.why}")
    counts = {sign: sum(1 for d in found if d.sign == sign) for sign in SIGNS}
    click.echo(
        f"\n{counts['same']} the same, {counts['reasons']} for other reasons, {counts['removed']} gone, "
        f"{counts['added']} new"
    )
    if parted_s is not None:
        click.echo(f"from {rfc3339(parted_s)} on the recorded traffic followed other decisions than these", err=True)
