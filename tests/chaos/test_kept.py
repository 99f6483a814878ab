"""Evidence of several runs adds up, of one code only, and says of each where it comes from."""

from collections import Counter
from pathlib import Path

import msgspec

from tests.chaos import evidence
from tests.chaos.kept import Origin, Run, code, keep, kept, origin, run_of
from tests.chaos.result import Result
from tests.chaos.runner import SEEDS, Asked, jobs
from tests.chaos.scenarios import SCENARIOS
from tests.chaos.soak_page import Soaked, write
from tests.chaos.verdict import Verdict

ORIGIN = Origin("make chaos SEED=7", "abc", "4f704f6aa", "2026-11-21 20:00 UTC", "2 cores")
EXACT = Run("broker", 7, False, 42.0, Verdict({}, events=1000, rows=20), "", ["1.0 s  kill all"], {}, ORIGIN)
LOST = Run("quota", 8, True, 9.0, Verdict({"lost": ["svc-1: count 3, expected 4"]}), "", [], {"RSS": "9 MB"}, ORIGIN)
SLOW = Run("fleet", 9, False, 9.0, None, "TooSlow: a worker does not become ready", [], {}, ORIGIN)


def test_runs_of_several_commands_add_up(tmp_path: Path):
    file = tmp_path / "chaos.jsonl"
    for run in (EXACT, LOST, SLOW):
        keep(run, file)
    assert kept("abc", file) == [EXACT, LOST, SLOW]
    assert kept("another", file) == []


def test_runs_of_other_code_are_forgotten(tmp_path: Path):
    file = tmp_path / "chaos.jsonl"
    keep(EXACT, file)
    other = Run("mock", 1, False, 1.0, None, "", [], {}, Origin("make chaos", "def", "", "", ""))
    assert keep(other, file) == [other] == kept("def", file)


def test_the_code_of_a_run_changes_with_the_product_alone(tmp_path: Path):
    for name in ("app/fold.py", "docs/page.md"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("1")
    before = code(tmp_path)
    (tmp_path / "docs/page.md").write_text("2")
    assert code(tmp_path) == before
    (tmp_path / "app/fold.py").write_text("2")
    assert code(tmp_path) != before


def test_a_result_is_kept_with_the_reason_why_there_is_no_verdict(tmp_path: Path):
    failed = 'Traceback (most recent call last):\n  File "x.py"\nTooSlow: no alarm\n'
    run = run_of(Result("stopped", 3, 1.0, None, failed, [], {}, tmp_path), ORIGIN)
    assert (run.failed, run.exact, run.again) == ("TooSlow: no alarm", False, "make chaos SEED=3 ONLY=stopped")
    assert run.origin.code == "abc"


def test_a_run_says_by_what_command_and_which_code_it_was_made():
    here = origin("make chaos SEED=1")
    assert here.command == "make chaos SEED=1"
    assert here.code == code()
    assert here.date.endswith("UTC")


def test_the_page_shows_every_run_also_those_that_failed(tmp_path: Path):
    page = evidence.write([SLOW, LOST, EXACT], SCENARIOS, tmp_path / "chaos.md").read_text()
    assert "1 of 3 runs exact: 3 seeds" in page
    assert "| broker | 7 | 1,000 | 20 |" in page
    assert "| quota, long | 8 |" in page
    assert "**violated: lost**" in page
    assert "svc-1: count 3, expected 4; again with `make chaos SEED=8 ONLY=quota LONG=1`" in page
    assert "**no verdict**" in page
    assert "TooSlow: a worker does not become ready; again with `make chaos SEED=9 ONLY=fleet`" in page
    assert "* `make chaos SEED=7`, commit 4f704f6aa: 3 runs to 2026-11-21 20:00 UTC, 2 cores" in page
    assert "| mock | kill -9 and SIGTERM on the mock cluster | 0 | none yet |" in page


def test_twenty_seeds_show_every_scenario_with_several_of_them():
    todo = jobs(Asked(seed=100, seeds=SEEDS))
    assert {job.seed for job in todo} == set(range(100, 120))
    seen = Counter(job.scenario.name for job in todo)
    assert seen["processes"] == SEEDS
    assert all(seen[scenario.name] >= (1 if scenario.alone else 5) for scenario in SCENARIOS)
    assert len({(job.scenario.name, job.seed) for job in todo}) == len(todo)
    assert not any(job.size.long for job in todo)


def test_a_long_run_has_some_seeds_in_full_length():
    full = {job.seed for job in jobs(Asked(seed=100, long=True)) if job.size.long}
    assert full == {101, 111}


def test_named_scenarios_run_with_every_seed():
    todo = jobs(Asked(seed=5, seeds=3, only="fleet,quota"))
    assert [(job.scenario.name, job.seed) for job in todo] == [(n, s) for s in (5, 6, 7) for n in ("quota", "fleet")]


def test_the_command_of_a_run_asks_for_the_same():
    assert Asked(seed=5, seeds=20, minutes=30).command == "make chaos SEED=5 SEEDS=20 MINUTES=30"
    assert Asked(seed=5, ci=True).command == "make chaos-ci SEED=5"
    assert Asked(seed=5, long=True, only="broker").command == "make chaos SEED=5 ONLY=broker LONG=1"


def test_the_page_of_a_soak_says_what_was_found_and_what_was_allowed(tmp_path: Path):
    soaked = Soaked(
        seed=3, hours=0.5, rate=500, workers=1, events=1_000_000, minutes=29, wrong=[], first=240.0, last=251.0,
        slope=22.0, grew=False, bound="Allowed are 32 MB.", rss=[(60.0 * n, 240.0 + n) for n in range(30)],
    )  # fmt: skip
    text = write(soaked, ORIGIN, tmp_path / "soak.md").read_text()
    assert "Verdict: **passed**" in text
    assert "1,000,000 events in 0.5 h at 500 responses a second" in text
    assert "| 28 | 268 |" in text
    for wrong in (msgspec.structs.replace(soaked, wrong=["lost: one"]), msgspec.structs.replace(soaked, minutes=0)):
        assert "Verdict: **FAILED**" in write(wrong, ORIGIN, tmp_path / "soak.md").read_text()
