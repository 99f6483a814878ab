"""The figures as markdown: tables, verdicts against the bars, how and where they were measured."""

import os
import platform
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.bench.engines import OURS, PEERS
from benchmarks.bench.live import RATE, Latency, Live
from benchmarks.bench.rounds import Run
from benchmarks.bench.size import Size

MAIN = "160 keys, 1 window"
LABELS = {engine.name: engine for engine in (OURS, *PEERS)}


class Figures(msgspec.Struct):
    """Everything one `make bench` found."""

    command: str
    runs: list[Run] = []
    skipped: dict[str, str] = {}
    live: Live | None = None
    latency: Latency | None = None
    sizes: list[Size] = []
    failed: dict[str, str] = {}


class Bar(msgspec.Struct, frozen=True):
    """One thing asked for: ``met`` None when it was not measured."""

    name: str
    wanted: str
    found: str
    met: bool | None


def median(runs: Sequence[Run], what: str = "cpu_us") -> float:
    """Median of one figure over right runs."""
    return float(statistics.median(getattr(run, what) for run in runs))


def runs_of(figures: Figures, engine: str, case: str) -> list[Run]:
    """The right runs of one engine in one case."""
    return [run for run in figures.runs if (run.engine, run.case) == (engine, case) and run.verdict.right]


# ---- bars ----------------------------------------------------------------------------------------------------------
RATIOS = (("faust", 40.0), ("quix", 12.0), ("bytewax", 2.2), ("kstreams", 1.8), ("raw", 0.8))
GROWTH = (
    ("4 window sizes", "1 window size kept", 1.2),
    ("16,000 keys", "160 keys", 2.5),
)


def bars(figures: Figures) -> list[Bar]:
    """What was asked for, and what was found in this run."""
    ours = runs_of(figures, "ours", MAIN)
    found = [_at_most("catch-up through both stages, us CPU/event", 3.4, median(ours) if ours else None, "{:.2f}")]
    for name, wanted in RATIOS:
        theirs = runs_of(figures, name, MAIN)
        ratio = median(theirs) / median(ours) if ours and theirs else None
        found.append(_at_least(f"CPU of {LABELS[name].label} over ours, same run", wanted, ratio, "{:.2f} x"))
    for more, fewer, wanted in GROWTH:
        pair = runs_of(figures, "ours", more), runs_of(figures, "ours", fewer)
        ratio = median(pair[0]) / median(pair[1]) if all(pair) else None
        found.append(_at_most(f"cost of {more} over {fewer}", wanted, ratio, "{:.2f} x"))
    live, late = figures.live, figures.latency
    beyond_s = max(0.0, live.recovery_s - live.session_timeout_s) if live else None
    facts = live.facts_mb_s / live.input_mb_s if live else None
    found += [
        _at_most("live 10k ev/s, whole worker, share of one core", 0.25, live.cpu if live else None, "{:.1%}"),
        _at_most("facts over raw input, bytes", 1.0, facts, "{:.2f} x"),
        _at_most("caught up after kill -9, s beyond the session timeout", 15.0, beyond_s, "{:.1f}"),
        _at_most("idle RSS of the whole worker, MB", 256.0, live.idle_rss_mb if live else None, "{:.0f}"),
        _at_most("event -> early aggregate, p99, ms", 100.0, late.p99_ms if late else None, "{:.0f}"),
    ]
    return found


def _at_most(name: str, wanted: float, found: float | None, form: str) -> Bar:
    return _bar(name, "<= " + form.format(wanted), found, form, met=None if found is None else found <= wanted)


def _at_least(name: str, wanted: float, found: float | None, form: str) -> Bar:
    return _bar(name, ">= " + form.format(wanted), found, form, met=None if found is None else found >= wanted)


def _bar(name: str, wanted: str, found: float | None, form: str, *, met: bool | None) -> Bar:
    return Bar(name, wanted, "not measured" if found is None else form.format(found), met)


# ---- the page ------------------------------------------------------------------------------------------------------
def page(figures: Figures) -> str:
    """The whole page."""
    words = {True: "met", False: "**missed**", None: "-"}
    sections = [
        "# What it costs, side by side",
        f"`{figures.command}` on {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}; {_machine()}.",
        _conditions(figures),
        "## Bars\n\n| asked | wanted | found | |\n|---|---|---|---|\n"
        + "\n".join(f"| {bar.name} | {bar.wanted} | {bar.found} | {words[bar.met]} |" for bar in bars(figures)),
        "## Side by side\n\nOne job (`benchmarks/peers/README.md`), one broker, one run; the rounds interleave the "
        "engines. "
        "CPU is user and system time of every process of the worker, from its first event to its last output.\n\n"
        "![microseconds of CPU an event](bench.svg)\n\n" + table(figures, MAIN, [*LABELS]),
        "## Growth of ours\n\n" + growth(figures),
        "## Arms, segments, memory\n\n" + sizes(figures),
        "## Live\n\n" + live_table(figures),
        explained(bars(figures)),
    ]
    wrong = [run for run in figures.runs if not run.verdict.right]
    absent = figures.skipped | figures.failed
    absent |= {f"{run.engine}, {run.case}": f"the output was not right: {run.verdict} {run.note}" for run in wrong}
    if absent:
        sections.append("## Not measured\n\n" + "\n".join(f"- {name}: {reason}" for name, reason in absent.items()))
    return "\n\n".join(sections) + "\n"


def _machine() -> str:
    model = [line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    name = model[0] if model else platform.machine()
    return f"{os.cpu_count()} cores ({name}), Python {platform.python_version()}, load {load} at its end"


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def _conditions(figures: Figures) -> str:
    others = [run.others for run in figures.runs]
    busy = f"{min(others):.1f} to {max(others):.1f}" if others else "-"
    return (
        f"Beside the worker {busy} cores were busy (broker and harness included). On a busy machine CPU time itself "
        "grows, for all alike, so ratios within the run say more than microseconds. The events are spelled "
        "`llm.response.completed` with nested `tokens`, not the canonical names; ours runs two processes (ingest, "
        "optimize) and does all it always does: four window sizes, detectors, rows, changelogs, checkpoints."
    )


def table(figures: Figures, case: str, names: Sequence[str]) -> str:
    """A row per engine, the cheapest first."""
    ours = runs_of(figures, "ours", case)
    rows = []
    for name in names:
        runs = runs_of(figures, name, case)
        if runs:
            rows.append((median(runs), _row(LABELS[name].label, runs, ours, LABELS[name].durable)))
    wrong = [run for run in figures.runs if run.case == case and not run.verdict.right]
    head = (
        "| engine | runs | events | us CPU/event, median (range) | over ours | events/s to the last output | "
        "with a free core | peak RSS, MB | after a crash |\n|---|---|---|---|---|---|---|---|---|\n"
    )
    notes = "".join(f"\n\nNot right: {run.engine}: {run.verdict} {run.note}" for run in wrong)
    return head + "\n".join(text for _, text in sorted(rows)) + _parts(ours) + notes


def _parts(ours: Sequence[Run]) -> str:
    """What each process of ours took, of the run with the least."""
    least = min(ours, key=lambda run: run.cpu_us, default=None)
    if least is None or not least.parts_us:
        return ""
    named = {"peers_adapter": "ingest"}
    parts = ", ".join(f"{named.get(name, name)} {us:.2f}" for name, us in sorted(least.parts_us.items()))
    return f"\n\nOf ours, us CPU an event by process, its start (imports, joining its group) included: {parts}."


def _row(label: str, runs: Sequence[Run], ours: Sequence[Run], durable: str) -> str:
    cpu = [run.cpu_us for run in runs]
    over = f"{median(runs) / median(ours):.2f} x" if ours else "-"
    return (
        f"| {label} | {len(runs)} | {runs[0].events:,} | {median(runs):.2f} ({min(cpu):.2f}-{max(cpu):.2f}) | {over} | "
        f"{median(runs, 'per_s'):,.0f} | {median(runs, 'per_free_s'):,.0f} | {median(runs, 'rss_mb'):.0f} | {durable} |"
    )


def growth(figures: Figures) -> str:
    """Ours, a row per case."""
    cases = dict.fromkeys(run.case for run in figures.runs if run.engine == "ours" and run.case != MAIN)
    head = "| case | runs | events | us CPU/event, median (range) | peak RSS, MB |\n|---|---|---|---|---|\n"
    rows = []
    for case in cases:
        runs = runs_of(figures, "ours", case)
        if runs:
            cpu = [run.cpu_us for run in runs]
            rows.append(
                f"| {case} | {len(runs)} | {runs[0].events:,} | {median(runs):.2f} ({min(cpu):.2f}-{max(cpu):.2f}) | "
                f"{median(runs, 'rss_mb'):.0f} |"
            )
    return head + "\n".join(rows)


def live_table(figures: Figures) -> str:
    """What the worker does with traffic as it comes."""
    rows: list[tuple[str, str]] = []
    live, late = figures.live, figures.latency
    if live is not None:
        rows += [
            ("idle, whole worker without a gateway (supervisor, ingest, optimize)", f"{live.idle_rss_mb:.0f} MB RSS"),
            (f"{RATE:,} ev/s, defaults: CPU", f"{live.cpu:.1%} of one core"),
            ("memory meanwhile", f"{live.busy_rss_mb:.0f} MB RSS"),
            ("facts / raw input", f"{live.facts_mb_s:.3f} / {live.input_mb_s:.2f} MB/s"),
            ("kill -9 of all under that load, caught up after", f"{live.recovery_s:.1f} s"),
            ("of these the session timeout", f"{live.session_timeout_s:.1f} s"),
        ]
    if late is not None:
        rows += [
            ("event -> merged, early partials every 50 ms", f"p50 {late.p50_ms:.0f}, p99 {late.p99_ms:.0f} ms"),
            ("events timed, slowest", f"{late.n:,}, {late.most_ms:.0f} ms"),
            ("CPU of both agents meanwhile", f"{late.cpu:.1%} of one core"),
        ]
    return "| what | figure |\n|---|---|\n" + "\n".join(f"| {name} | {text} |" for name, text in rows)


def sizes(figures: Figures) -> str:
    """What arms x segments cost, a row per shape, and why memory is bounded."""
    head = (
        "| services x arms x segments | events | ingest / optimize, us CPU/event | facts, bytes an event | "
        "open minute, MB | rows, windows, analysis, MB | largest row / windows, kB |\n|---|---|---|---|---|---|---|\n"
    )
    rows = [
        f"| {s.services:,} x {s.arms} x {s.segments} | {s.events:,} | {s.ingest_us:.2f} / {s.optimize_us:.2f} | "
        f"{s.facts_bytes:.1f} | {s.ingest_mb:.0f} | {s.optimize_mb:.0f} | "
        f"{s.row_bytes / 1000:.0f} / {s.window_bytes / 1000:.0f} |"
        for s in figures.sizes
    ]
    return head + "\n".join(rows) + BOUNDED


BOUNDED = """

Both stages in one process, no broker (`python -m benchmarks.bench.size`). Ingest holds the open minutes of a source,
two or three of them (`ingest.lateness_s`, `ingest.ahead_s`): for each cell one set of sums, for each arm and segment a
histogram of at most 1,500 buckets, at most 512 cells of a service and 20,000 services. Only the set of event ids of an
open minute grows with the rate, by 13 to 27 bytes an event; lag does not enter it, because minutes close by event time.
Optimize holds a row and a value of windows per service, at most `optimize.max_services` in a partition, and both are
bounded by the arms, segments and versions a document may have (64 and 128 kB at 10 arms x 5 segments); histograms stop
growing at the width of the distribution. Fetches are bounded by `kafka.fetch_max_bytes` and `kafka.buffer_batches`.
"""


# ---- what missed bars are made of ----------------------------------------------------------------------------------
WHY = {
    "catch-up": (
        "Reading and adding an event are C (`python -m benchmarks.fold`, `python -m benchmarks.drain`); what is left of "
        "ingest are the kernel's sockets, copies and the event loop of the consumer's thread. Optimize costs a fixed sum "
        "for each minute, arm and service (`python -m benchmarks.scaling`): windows of four sizes with their quantiles, "
        "analyzers, learning, and what it writes; dense cells share it. Where nothing could be compiled, ingest takes "
        "about twice as long: `llm-optimizer doctor` says which it is."
    ),
    "CPU of raw": (
        "Raw keeps six sums and no ids, commits nothing and closes one window. Ours keeps sixteen sums a cell, ids for "
        "de-duplication and four window sizes, and writes facts, rows and aggregates before it commits."
    ),
    "cost of 16,000 keys": (
        "This log has 1,000 events a second, so of 16,000 keys each gets four a minute, and these pay alone for what "
        "a key costs once a minute: its facts, histograms, four windows, aggregates and analysis. It is a cost of keys "
        "and minutes, not of events: it does not grow when they get more, and the cheaper an event is, the larger it "
        "looks beside it."
    ),
    "cost of 4 window sizes": "Each size merges every histogram once more and writes its own aggregates when it ends.",
    "live 10k": "Live, a fetch brings few events, so what each fetch, flush and commit costs is shared by few.",
    "idle RSS": (
        "Each process holds Python and the libraries of Kafka and HTTP. Pages that processes share are "
        "counted once for each."
    ),
}


def explained(found: Sequence[Bar]) -> str:
    """A paragraph for each missed bar of which the profile says something."""
    missed = [bar.name for bar in found if bar.met is False]
    said = [f"- **{name}**: {WHY[prefix]}" for name in missed for prefix in WHY if name.startswith(prefix)]
    return "## What missed bars are made of\n\n" + ("\n".join(said) or "No bar that was measured is missed.")
