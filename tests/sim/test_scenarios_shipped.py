"""The three scenarios of the requirements, as shipped: what is wrong, what is done about it, and how soon."""

from pathlib import Path

import msgspec
import pytest

from app.sim.outcome import Delay, ServiceOutcome, outcome_of
from app.sim.scenario import load
from app.sim.simulation import Simulation

pytestmark = pytest.mark.simulation

FOLDER = Path(__file__).parents[2] / "examples" / "scenarios"


def played(name: str, **changed: float) -> tuple[ServiceOutcome, Delay]:
    scenario = msgspec.structs.replace(load(FOLDER / f"{name}.toml"), **changed)
    simulation = Simulation(scenario, FOLDER)
    simulation.run()
    (service,) = outcome_of(simulation).services
    (delay,) = service.delays
    return service, delay


def test_a_latency_spike_is_answered_by_the_faster_model_within_four_minutes():
    service, delay = played("latency-spike", hours=1.15)
    assert (delay.answer, delay.settled_on, service.incumbent) == ("fail-over", "fast", "fast")
    assert delay.noticed_min is not None and delay.noticed_min <= 4
    assert delay.settled_min is not None and delay.settled_min <= 4
    assert [d.trigger for d in service.decisions if d.action == "fail-over"] == ["threshold"]


def test_a_cost_overrun_begins_a_trial_of_the_cheaper_model_at_once_which_takes_over_within_the_hour():
    service, delay = played("cost-overrun", hours=1.6)
    assert (delay.answer, delay.settled_on, service.incumbent) == ("open-trial", "small", "small")
    assert delay.answered_min is not None and delay.answered_min <= 4
    assert delay.settled_min is not None and delay.settled_min <= 60
    assert service.saved.true is not None and service.saved.true > 0


def test_a_quality_drop_on_trial_is_rolled_back_within_half_an_hour():
    service, delay = played("quality-drop", hours=1.2)
    assert (delay.answer, delay.settled_on, service.incumbent) == ("roll-back", "large", "large")
    assert delay.answered_min is not None and delay.answered_min <= 30
