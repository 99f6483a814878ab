"""`llm-optimizer backtest TABLE`: what a routing policy would have earned on a table of requests."""

import csv
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click

from app.cli.output import write_columns, write_json
from app.cli.series import opened

if TYPE_CHECKING:
    from app.core.backtest.play import Terms
    from app.core.backtest.table import Table

ALL = "all"
FIELD_LIMIT = 16 * 2**20
"""Longest field of a table, in characters: prompts are long."""


@click.command
@click.argument("file", metavar="TABLE", type=click.Path(allow_dash=True, exists=True, dir_okay=False, path_type=Path))
@click.option("--policy", required=True, metavar="NAME", help="One of the policies below, or all to compare them.")
@click.option("--passes", default=1, show_default=True, type=click.IntRange(1, 1000), help="Times the table is played.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Order of requests and draws.")
@click.option("--in-order", is_flag=True, help="Play the rows as they stand instead of shuffling each pass.")
@click.option("--cost-max", type=click.FloatRange(0, min_open=True), metavar="USD", help="Cost that earns nothing.")
@click.option("--latency-max", type=click.FloatRange(0, min_open=True), metavar="MS", help="The same for latency.")
@click.option(
    "--delay", default=0, show_default=True, type=click.IntRange(0), help="Requests before an answer is known."
)
@click.option("--score-rate", default=1.0, show_default=True, type=click.FloatRange(0, 1), help="Share scored.")
@click.option("--degrade", metavar="ARM@T", help="Halve the arm's quality from T on: a share, or a request number.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def backtest(
    file: Path,
    policy: str,
    cost_max: float | None,
    latency_max: float | None,
    degrade: str | None,
    *,
    as_json: bool,
    **terms: Any,
) -> None:
    """Play a routing policy over TABLE, a CSV file with one row per request (- is standard input, .gz is unpacked)."""
    from app.core.backtest import named, table

    chosen = list(named.POLICIES) if policy == ALL else [policy]
    if policy not in {*named.POLICIES, ALL}:
        raise click.UsageError(f"--policy {policy}: choose one of {', '.join(named.POLICIES)}, all")
    read = _read(file)
    objective = table.objective_of(read, cost_max, latency_max)
    played = _terms(read, degrade, terms)
    results = [_result(name, read, objective, played) for name in chosen]
    if as_json:
        write_json(results if policy == ALL else results[0])
    else:
        _print(results)


def _terms(read: "Table", degrade: str | None, given: Mapping[str, Any]) -> "Terms":
    from app.core.backtest import play

    terms = play.Terms(**given)
    if degrade is None:
        return terms
    arm, at, when = degrade.rpartition("@")
    try:
        moment = float(when)
    except ValueError:
        moment = -1.0
    if not at or moment < 0:
        raise click.UsageError(f"--degrade {degrade}: write it as ARM@T, as in gpt-4@0.5 or gpt-4@5000")
    return play.Terms(**given, degrade=play.degraded(arm, moment, read, terms))


def _result(name: str, read: "Table", objective: Any, terms: "Terms") -> dict[str, Any]:
    import msgspec

    from app.core.backtest import named, play, score

    start = perf_counter()
    played = play.play(read, named.POLICIES[name](play.problem_of(read, objective, terms.seed)), terms)
    taken_s = perf_counter() - start
    result = msgspec.structs.asdict(score.scored(name, read, objective, played, terms.degrade))
    return {**result, "decisions_per_s": round(len(played.rows) / max(taken_s, 1e-9))}


def _read(file: Path) -> "Table":
    from app.core.backtest import table

    csv.field_size_limit(FIELD_LIMIT)
    with opened(file) as text:
        rows = csv.DictReader(text, skipinitialspace=True)
        try:
            rows.fieldnames = [name.strip() for name in rows.fieldnames or ()]
            return table.read(rows.fieldnames, _numbered(rows))
        except (csv.Error, UnicodeError, EOFError) as error:
            raise table.TableError(f"{file}, after line {rows.line_num}: this is no CSV in UTF-8 ({error})") from error
        except table.TableError as error:
            raise table.TableError(f"{file}, {error}") from None


def _numbered(rows: "csv.DictReader[str]") -> Iterator[tuple[str, Mapping[str, str | None]]]:
    for row in rows:
        yield f"line {rows.line_num}", row


def _print(results: list[dict[str, Any]]) -> None:
    header = ("policy", "reward", "regret %", "normalised %", "quality", "cost USD", "decisions/s")
    write_columns([_line(result) for result in results], header)
    first = results[0]
    click.echo(
        f"\n{first['requests']} requests, {len(first['arms'])} arms; best fixed arm {first['best_fixed'].arm}"
        f" {first['best_fixed'].reward_mean:.4f}, random {first['random_reward_mean']:.4f}"
    )
    sys.stdout.flush()


def _line(result: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        result["policy"],
        f"{result['reward_mean']:.4f}",
        f"{100 * result['regret']:.2f}",
        f"{100 * result['normalised_regret']:.1f}",
        f"{result['quality_mean']:.4f}",
        f"{result['cost_usd']:.4f}",
        str(result["decisions_per_s"]),
    )
