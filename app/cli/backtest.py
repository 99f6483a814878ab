"""`llm-optimizer backtest TABLE`: what a routing policy would have earned on a table of requests."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from app.cli.output import write_columns, write_json
from app.cli.progress import progress
from app.cli.series import opened

if TYPE_CHECKING:
    from app.core.backtest.play import Degrade, Played, Terms
    from app.core.backtest.score import Score
    from app.core.backtest.table import Table
    from app.core.stats.reward import Objective

ALL = "all"
PLOTS = (".svg", ".png")
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
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE.svg|png",
    help="Draw how far each policy falls behind the best fixed arm.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def backtest(
    file: Path,
    policy: str,
    cost_max: float | None,
    latency_max: float | None,
    degrade: str | None,
    plot: Path | None,
    *,
    as_json: bool,
    **terms: Any,
) -> None:
    """Play a routing policy over TABLE, a CSV file with one row per request (- is standard input, .gz is unpacked).

    Columns: q_<arm> (quality 0-1, empty: not called) and cost_<arm> (USD) of every arm; optional latency_ms_<arm>,
    segment, prompt, in_tokens, propensity. Policies: random, best-fixed, cheapest, thompson, segments, contextual, ucb,
    epsilon-greedy, q-learning, weights (what production does); all compares them.

    Reward: .6 quality + .3 (1 - cost/max) + .1 (1 - latency/max), .6/.9 and .3/.9 without latency; a maximum that is
    not given is the 99th percentile of the arm that is dearest (slowest) there.
    """
    from app.core.backtest import named, table

    chosen = list(named.POLICIES) if policy == ALL else [policy]
    if policy not in {*named.POLICIES, ALL}:
        raise click.UsageError(f"--policy {policy}: choose one of {', '.join(named.POLICIES)}, all")
    if plot is not None and plot.suffix.lower() not in PLOTS:
        raise click.UsageError(f"--plot {plot}: its name must end in .svg or .png")
    read = _read(file)
    objective = table.objective_of(read, cost_max, latency_max)
    played = _terms(read, degrade, terms)
    runs: list[_Run] = []
    with progress("playing") as report:
        for done, name in enumerate(chosen):
            report(done, len(chosen))
            runs.append(_run(name, read, objective, played))
    if as_json:
        shown = [run.shown() for run in runs]
        write_json(shown if policy == ALL else shown[0])
    else:
        _print(runs, objective)
        _print_log(runs, known=read.propensity is not None)
    if plot is not None:
        _draw(plot, file.name, read, objective, played.degrade, runs)


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


class _Run(NamedTuple):
    """A policy's result with its decisions and how fast they were made."""

    score: "Score"
    played: "Played"
    decisions_per_s: int

    def shown(self) -> dict[str, Any]:
        import msgspec

        return {**msgspec.structs.asdict(self.score), "decisions_per_s": self.decisions_per_s}


def _run(name: str, read: "Table", objective: "Objective", terms: "Terms") -> _Run:
    from app.core.backtest import named, play, score

    policy = named.POLICIES[name](play.problem_of(read, objective, terms.seed))
    start = process_time()
    played = play.play(read, policy, terms)
    taken_s = process_time() - start
    if read.logged:
        result: Score = score.estimated(name, read, objective, played)
    else:
        result = score.scored(name, read, objective, played, terms.degrade)
    return _Run(result, played, round(len(played.rows) / max(taken_s, 1e-9)))


def _read(file: Path) -> "Table":
    from app.core.backtest import table

    csv.field_size_limit(FIELD_LIMIT)
    with opened(file) as text:
        rows = csv.DictReader(text, skipinitialspace=True)
        try:
            rows.fieldnames = [name.strip() for name in rows.fieldnames or ()]
            for name in table.unread(rows.fieldnames):
                click.echo(f"{file}: column {name} is not read, no arm has that name", err=True)
            return table.read(rows.fieldnames, _numbered(rows))
        except (csv.Error, UnicodeError, EOFError) as error:
            raise table.TableError(f"{file}, after line {rows.line_num}: this is no CSV in UTF-8 ({error})") from error
        except table.TableError as error:
            raise table.TableError(f"{file}, {error}") from None


def _numbered(rows: "csv.DictReader[str]") -> Iterator[tuple[str, Mapping[str, str | None]]]:
    for row in rows:
        yield f"line {rows.line_num}", row


def _print(runs: list[_Run], objective: "Objective") -> None:
    header = ("policy", "reward", "regret %", "normalised %", "quality", "cost USD", "decisions/s")
    write_columns([_line(run) for run in runs], header)
    first = runs[0].score
    click.echo(
        f"\n{first.requests} requests, {len(first.arms)} arms; best fixed arm {first.best_fixed.arm}"
        f" {first.best_fixed.reward_mean:.4f}, random {first.random_reward_mean:.4f}"
    )
    maxima = f"cost {objective.cost_max_usd:.6g} USD"
    if objective.latency:
        maxima += f", latency {objective.latency_max_ms:.6g} ms"
    click.echo(f"rewards fall to nothing at: {maxima}")


def _print_log(runs: list[_Run], *, known: bool) -> None:
    """The estimates of a log, by three roads; ``known``: with propensities of its own."""
    from app.core.backtest.score import LogScore

    scores = [run.score for run in runs if isinstance(run.score, LogScore)]
    if not scores:
        return
    click.echo("\nThis table is a log: an arm that was not called has no answer in it, so what a policy would have")
    click.echo("earned is estimated. Above are the doubly robust estimates; here all three, with 95 % intervals.\n")
    if not known:
        click.echo("It has no column propensity: the share of each arm in the segment stands in for it, which is right")
        click.echo("only if the log was drawn by nothing else than the segment.\n")
    rows = [
        (score.policy, score.matched, *(f"{e.value:.4f} [{e.low:.4f}, {e.high:.4f}]" for e in roads))
        for score in scores
        for roads in ((score.reward.replay, score.reward.inverse_propensity, score.reward.doubly_robust),)
    ]
    write_columns(rows, ("policy", "matched", "replay", "inverse propensity", "doubly robust"))


def _line(run: _Run) -> tuple[str, ...]:
    score = run.score
    return (
        score.policy,
        f"{score.reward_mean:.4f}",
        f"{100 * score.regret:.2f}",
        f"{100 * score.normalised_regret:.1f}",
        f"{score.quality_mean:.4f}",
        f"{score.cost_usd:.4f}",
        str(run.decisions_per_s),
    )


def _draw(
    plot: Path, title: str, read: "Table", objective: "Objective", degrade: "Degrade | None", runs: list[_Run]
) -> None:
    from app.cli.chart_regret import Curve, Span, draw_curves, draw_spans
    from app.core.backtest.score import LogScore, gaps

    if read.logged:
        estimates = (
            (run.score.policy, run.score.reward.doubly_robust) for run in runs if isinstance(run.score, LogScore)
        )
        spans = [Span(name, estimate.value, estimate.low, estimate.high) for name, estimate in estimates]
        draw_spans(plot, f"{title}: reward, doubly robust with intervals that hold 19 times in 20", spans)
    else:
        curves = [Curve(run.score.policy, gaps(read, objective, run.played, degrade).cumsum().tolist()) for run in runs]
        draw_curves(plot, f"{title}: reward behind the best fixed arm, summed over requests", curves)
