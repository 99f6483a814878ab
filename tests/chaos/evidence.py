"""docs/evidence/chaos.md: what the kept runs of one code did and found, with command, commit, date and machine."""

from collections.abc import Sequence
from pathlib import Path

from tests.chaos.coverage import EVERY, FAULTS, TRAFFIC
from tests.chaos.kept import Origin, Run
from tests.chaos.scenario import Scenario
from tests.e2e.harness.broker import ROOT

PAGE = ROOT / "docs" / "evidence" / "chaos.md"

_HEAD = """# Chaos: exact while things go wrong

{exact} of {all} runs exact: {seeds}, {scenarios} of {known} scenarios, {events:,} events, all by one code (hash
`{code}` of app, agents, tables, tests/chaos). The page gathers every run of that code, failed ones too, from
`docs/evidence/chaos.jsonl`; a run by other code begins it anew. More seeds: `make chaos SEEDS=20`. One run again:
`make chaos SEED=n ONLY=scenario` (with `LONG=1` where the row says long).

{origins}

Real workers (`llm-optimizer worker`) on a real Kafka. Evidence on llm.responses (7 partitions) and llm.feedback (3),
commands on llm.commands (2), facts with 4. Every stream has a hot key (40 % of the requests), 5 % producer duplicates,
20 % disorder within the lateness, late events, garbage, values out of bounds, impossible times, a partition without any
event, feedback with and without receipts, and commands of which 40 % are produced again. Record batches are compressed in
two ways, by seed; a tenth of the records come in transactions, of which 30 % are rolled back. Verdict: an independent
count over the source logs (`tests/chaos/account.py`), compared with the public topics: lost, doubled, wrong sums, one id
with two payloads, late events, dead letters (each once, untouched), commands (each obeyed once). That the verdict can
fail is shown in `tests/chaos/test_verdict.py`, which breaks rules of the engines one by one. A steady load for half an
hour and longer: `make soak`, [soak](soak.md).

{summary}

## Every run

| scenario | seed | events | rows | late | duplicates | dead letters | commands (repeated) | outputs written again | verdict | s | commit | date |
|---|---|---|---|---|---|---|---|---|---|---|---|---|
"""

_TAIL = """
## What was done when
"""

_REMARKS = """
## Remarks

* **State folder.** Nothing in it is needed to go on: state is in Kafka (changelogs and committed offsets), so rubbish in it
  changes nothing, and there is no local store that could be corrupt. One that cannot be written ends a worker at once:
  exit code 78 and a word that says so.
* **A wrong clock.** A worker's clock decides nothing: event time is cut by the broker's append time, log time is the
  append time of facts, and what is claimed of an idle source is in the broker's time, known from the acks of own writes.
* **Retention.** `kafka.on_retention_gap = exit` (default): exit code 4 naming partition and number of records, seen as
  `llm_optimizer_agent_last_exit_code` and `llm_optimizer_agent_restarts_total`. `accept`: counted in
  `llm_optimizer_lane_records_lost_to_retention_total`, exact but for these records.
* **A partition that stops** holds every close (`llm_optimizer_silent_sources` above 0, and its name in the log) until
  `optimize.silent_s`; then closes come with `complete=false`. Time in which nobody spoke is not silence.
* **Several nodes.** Topics have a copy on each of three nodes and take writes while two are in sync. A node that is killed or
  stopped is missed after 2 s; exactness needs `min.insync.replicas` above 1, as every Kafka that is to lose nothing.
* **Added partitions** of evidence topics are found within 5 s. What they get must not be older than the lateness when they
  are found; traffic compressed in time (a replay) should begin after the topic has grown.

Not covered: power loss (several nodes at once without their last writes), faults under TLS and SASL (without faults:
`tests/e2e/test_secure_kafka.py`), growing facts topics (refused at start), a wrong clock of the broker itself, an event
that comes to an idle source more than lateness + session timeout late (it is counted in `after_close`, in no minute).
"""


def write(runs: Sequence[Run], scenarios: Sequence[Scenario], page: Path = PAGE) -> Path:
    """Write the page of ``runs``, all of one code; its path."""
    order = [scenario.name for scenario in scenarios]
    runs = sorted((run for run in runs if run.name in order), key=lambda run: (order.index(run.name), run.seed))
    head = _HEAD.format(
        exact=sum(run.exact for run in runs),
        all=len(runs),
        seeds=_counted(len({run.seed for run in runs}), "seed"),
        scenarios=len({run.name for run in runs}),
        known=len(order),
        events=sum(run.verdict.events for run in runs if run.verdict),
        code=runs[0].origin.code if runs else "none",
        origins=_origins(runs),
        summary=_summary(runs, scenarios),
    )
    rows = "\n".join(_row(run) for run in runs)
    figures = "\n".join(f"* {_title(run)}: {name}: {note}" for run in runs for name, note in run.notes.items())
    done = "\n".join(f"* {_title(run)}: {_done(run)}" for run in runs)
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(
        f"{head}{rows}\n{_failures(runs)}\n## Figures\n\n{figures}\n\n## Which scenario shows what\n\n"
        f"{_covered(runs, scenarios)}\n{_REMARKS}{_TAIL}\n{done}\n",
        encoding="utf-8",
    )
    return page


def _counted(count: int, name: str) -> str:
    return f"{count} {name}{'s' if count != 1 else ''}"


def _origins(runs: Sequence[Run]) -> str:
    """A line for each command: how many runs, of which commit, when, on what machine under which load at the end."""
    by_command: dict[tuple[str, str], list[Origin]] = {}
    for run in runs:
        by_command.setdefault((run.origin.command, run.origin.commit), []).append(run.origin)
    return "\n".join(
        f"* `{command}`, commit {commit or 'unknown'}: {_counted(len(of), 'run')} to {max(each.date for each in of)}, "
        f"{max(of, key=lambda each: each.date).machine}"
        for (command, commit), of in by_command.items()
    )


def _summary(runs: Sequence[Run], scenarios: Sequence[Scenario]) -> str:
    """Scenario by scenario: what goes wrong, and of how many seeds all runs are exact."""
    lines = ["| scenario | what goes wrong | seeds | runs exact |", "|---|---|---|---|"]
    for scenario in scenarios:
        of = [run for run in runs if run.name == scenario.name]
        exact = f"{sum(run.exact for run in of)} of {len(of)}" if of else "none yet"
        lines.append(f"| {scenario.name} | {scenario.says} | {len({run.seed for run in of})} | {exact} |")
    return "\n".join(lines)


def _covered(runs: Sequence[Run], scenarios: Sequence[Scenario]) -> str:
    """Item by item: which scenarios show it, and how often they were exact."""
    lines = ["| traffic or fault | scenarios | runs exact |", "|---|---|---|"]
    for item, says in (*TRAFFIC.items(), *FAULTS.items()):
        names = [s.name for s in scenarios if item in s.covers] if item not in EVERY else [s.name for s in scenarios]
        ran = [run for run in runs if run.name in names]
        exact = sum(run.exact for run in ran)
        shown = "all" if item in EVERY else ", ".join(names)
        lines.append(f"| {says} | {shown} | {f'{exact} of {len(ran)}' if ran else 'none yet'} |")
    return "\n".join(lines)


def _row(run: Run) -> str:
    verdict = run.verdict
    said = f"{run.took_s:.0f}", run.origin.commit, run.origin.date
    if verdict is None:
        return f"| {' | '.join((*_place(run), *[''] * 7, '**no verdict**', *said))} |"
    kinds = ", ".join(kind for kind, found in verdict.violations.items() if found)
    cells = (
        *_place(run),
        f"{verdict.events:,}",
        f"{verdict.rows:,}",
        f"{verdict.late:,}",
        f"{verdict.duplicates:,}",
        f"{verdict.letters:,}",
        f"{verdict.orders} ({verdict.repeated_orders})",
        f"{verdict.repeated:,}",
        f"**violated: {kinds}**" if kinds else "exact",
        *said,
    )
    return f"| {' | '.join(cells)} |"


def _place(run: Run) -> tuple[str, str]:
    return f"{run.name}{', long' if run.long else ''}", str(run.seed)


def _title(run: Run) -> str:
    return f"{run.name}{', long' if run.long else ''}, seed {run.seed}"


def _failures(runs: Sequence[Run]) -> str:
    wrong = [run for run in runs if not run.exact]
    lines = [
        f"* {_title(run)}: {'; '.join(run.verdict.lines()) if run.verdict else run.failed}; again with `{run.again}`"
        for run in wrong
    ]
    return "\n## What was not exact\n\n" + "\n".join(lines) + "\n" if wrong else ""


def _done(run: Run) -> str:
    return "; ".join(" ".join(line.split()) for line in run.said) or "nothing but traffic"
