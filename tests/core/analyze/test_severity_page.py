"""What docs/findings.md says of severities is what the code does."""

import re
from pathlib import Path

import pytest

from app.core.analyze import burn, drift
from app.core.analyze.finding import FELT, severity_of
from app.core.analyze.ring_watch import enough

PAGE = (Path(__file__).parents[3] / "docs" / "findings.md").read_text()
RULES = dict(re.findall(r"^\| (below 1|\d to \d|from 4) \| (.+?) \|$", PAGE, re.MULTILINE))


@pytest.mark.parametrize(
    ("row", "lowest", "highest"), [("below 1", 0.0, 0.99), ("1 to 2", 1.0, 1.99), ("2 to 4", 2.0, 3.99)]
)
@pytest.mark.parametrize("family", ["latency", "errors", "quality", "cost", "tokens", "traffic", "budget", "waste"])
def test_the_table_of_multiples(row: str, lowest: float, highest: float, family: str) -> None:
    assert {severity_of(times, family) for times in (lowest, highest)} == {RULES[row]}  # type: ignore[arg-type]  # names


def test_only_what_users_feel_is_critical() -> None:
    first, rest = RULES["from 4"].split("; ")
    named = set(re.findall(r"\w+", first.removeprefix("critical, for ").replace(" and ", ", "))) - {"and"}
    assert named == set(FELT)
    assert rest == "high for the rest"
    assert {severity_of(9.0, family) for family in FELT} == {"critical"}  # type: ignore[arg-type]  # names
    assert severity_of(9.0, "cost") == "high"


def test_the_burn_rates_and_what_is_a_warning_at_most() -> None:
    fast, slow = re.findall(r"burns ([\d.]+) times too fast in both windows is critical, (\d+) times high", PAGE)[0]
    assert (float(fast), float(slow)) == (burn.FAST, burn.SLOW)
    assert severity_of(drift.LENGTH_MOST, "tokens") == "warning"


def test_how_many_answers_a_value_of_a_pane_series_stands_for() -> None:
    (lengths, other, percent) = re.findall(r"\((\d+) for lengths, (\d+) for a\s+tolerance of (\d+) %\)", PAGE)[0]
    assert enough(drift.LENGTH_TOLERANCE) == int(lengths)
    assert enough(int(percent) / 100) == int(other)
