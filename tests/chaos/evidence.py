"""docs/evidence/chaos.md: what a whole run did and found, with the command, the date and the machine."""

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import psutil

from tests.chaos.coverage import EVERY, FAULTS, TRAFFIC
from tests.chaos.result import Result
from tests.chaos.scenario import Scenario
from tests.e2e.harness.broker import ROOT

PAGES = ROOT / "docs" / "evidence"

_HEAD = """# Chaos: exact while things go wrong

Written by `{command}` on {date}, {machine}. {exact} of {all} runs exact, {events:,} events. One run again:
`make chaos SEED=n ONLY=name{long}`. Seeds: {seeds}.

Real workers (`llm-optimizer worker`) on a real Kafka. Evidence on llm.responses (7 partitions) and llm.feedback (3),
commands on llm.commands (2), facts with 4. Every stream has a hot key (40 % of the requests), 5 % producer duplicates,
20 % disorder within the lateness, late events, garbage, values out of bounds, impossible times, a partition without any
event, feedback with and without receipts, and commands of which 40 % are produced again. Verdict: an independent count
over the source logs (`tests/chaos/account.py`), compared with the public topics: lost, doubled, wrong sums, one id with
two payloads, late events, dead letters (each once, untouched), commands (each obeyed once). That the verdict can fail is
shown in `tests/chaos/test_verdict.py`, which breaks rules of the engines one by one.

| scenario | what goes wrong | seed | events | rows | late | duplicates | dead letters | commands (repeated) | outputs written again | verdict | s |
|---|---|---|---|---|---|---|---|---|---|---|---|
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
* **Added partitions** of evidence topics are found within 5 s. What they get must not be older than the lateness when they
  are found; traffic compressed in time (a replay) should begin after the topic has grown.

Not covered: more than one broker (leader change), power loss, TLS and SASL, growing facts topics (refused at start), a
wrong clock of the broker itself, an event that comes to an idle source more than lateness + session timeout late (it
is counted in `after_close`, in no minute).
"""


def write(results: Sequence[Result], scenarios: Sequence[Scenario], command: str, *, long: bool) -> Path:
    """Write the page of a whole run; its path. A long one has its own page."""
    page = PAGES / ("chaos-long.md" if long else "chaos.md")
    says = {scenario.name: scenario.says for scenario in scenarios}
    head = _HEAD.format(
        command=command,
        long=" LONG=1" if long else "",
        seeds=", ".join(map(str, sorted({result.seed for result in results}))),
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        machine=_machine(),
        exact=sum(result.exact for result in results),
        all=len(results),
        events=sum(result.verdict.events for result in results if result.verdict),
    )
    rows = "\n".join(_row(result, says[result.name]) for result in results)
    figures = "\n".join(
        f"* {result.name}, seed {result.seed}: {name}: {note}"
        for result in results
        for name, note in result.notes.items()
    )
    done = "\n".join(_done(result) for result in results)
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(
        f"{head}{rows}\n\n## Figures\n\n{figures}\n\n## Which scenario shows what\n\n{_covered(results, scenarios)}\n"
        f"{_REMARKS}{_TAIL}\n{done}\n",
        encoding="utf-8",
    )
    return page


def _covered(results: Sequence[Result], scenarios: Sequence[Scenario]) -> str:
    """Item by item: which scenarios show it, and how often they were exact in this run."""
    lines = ["| traffic or fault | scenarios | runs exact |", "|---|---|---|"]
    for item, says in (*TRAFFIC.items(), *FAULTS.items()):
        names = [s.name for s in scenarios if item in s.covers] if item not in EVERY else [s.name for s in scenarios]
        ran = [result for result in results if result.name in names]
        exact = sum(result.exact for result in ran)
        shown = "all" if item in EVERY else ", ".join(names)
        lines.append(f"| {says} | {shown} | {f'{exact} of {len(ran)}' if ran else 'not in this run'} |")
    return "\n".join(lines)


def _row(result: Result, says: str) -> str:
    verdict = result.verdict
    if verdict is None:
        return f"| {result.name} | {says} | {result.seed} | | | | | | | | no verdict | {result.took_s:.0f} |"
    kinds = ", ".join(kind for kind, found in verdict.violations.items() if found)
    cells = (
        result.name,
        says,
        result.seed,
        f"{verdict.events:,}",
        f"{verdict.rows:,}",
        f"{verdict.late:,}",
        f"{verdict.duplicates:,}",
        verdict.letters,
        f"{verdict.orders} ({verdict.repeated_orders})",
        verdict.repeated,
        f"**violated: {kinds}**" if kinds else "exact",
        f"{result.took_s:.0f}",
    )
    return f"| {' | '.join(map(str, cells))} |"


def _done(result: Result) -> str:
    lines = "; ".join(" ".join(line.split()) for line in result.said) or "nothing but traffic"
    return f"* {result.name}, seed {result.seed}: {lines}"


def _machine() -> str:
    memory_gb = psutil.virtual_memory().total / (1 << 30)
    load = os.getloadavg()[1]
    return (
        f"{os.cpu_count()} cores, {memory_gb:.0f} GB, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, load average {load:.1f}"
    )
