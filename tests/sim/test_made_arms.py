"""Arms the optimizer makes itself, in the closed loop: they reach the gateway with their definition, win or are gone."""

import pytest

from app.core.levers.made_arm import PROMPT
from app.sim.outcome import outcome_of
from app.sim.scenario import load
from app.sim.simulation import Simulation

pytestmark = pytest.mark.simulation

WORLD = """
name = "made"
hours = 1.2
seed = 3

[[services]]
name = "chat"
trace = "conv"
requests_per_min = 90
score_rate = 1.0

[services.document]
mode = "auto"
sticky = false
trial = { steps = [50, 90, 100], cooldown_minutes = 1 }
arms = [{ name = "large" }]
prices = [{ model = "large", input_usd = 2.5, output_usd = 10 }]
strategy = { prompt = { text = "Please answer. Be kind. Be kind.", variants = ["redundancy_removal", "compression"] } }

[services.effects]
redundancy_removal = { input_factor = 0.6 }
compression = { points = -0.15, input_factor = 0.5 }

[[services.arms]]
name = "large"
model = "large"
price = { input_usd_per_mtok = 2.5, output_usd_per_mtok = 10 }
latency = { base_ms = 450, per_token_ms = 14, sigma = 0.35 }
quality = { mean = 0.90, sd = 0.08 }
error_rate = 0.001
"""


def test_a_variant_that_saves_takes_over_and_one_that_harms_is_retired(tmp_path):
    path = tmp_path / "made.toml"
    path.write_text(WORLD)
    simulation = Simulation(load(path), tmp_path)
    simulation.run()
    (chat,) = outcome_of(simulation).services
    ends = [(d.action, d.arm.split("-")[0]) for d in chat.decisions if d.action in ("promote", "roll-back")]
    assert ends == [("promote", "large~redundancy_removal"), ("roll-back", "large~compression")]
    assert {d.strategy for d in chat.decisions[1:3]} <= {"prompt-testing", "cost-performance"}
    row, split = simulation.brain.row("chat"), simulation.serving("chat")
    assert row is not None and split is not None
    served = next(arm for arm in split.arms if arm.name == split.incumbent)
    assert served.features[PROMPT] == "Please answer. Be kind."
    assert served.prompt_version.startswith("sha256:")
    assert not any("compression" in arm for arm in row.document.arm_names)
    assert len(row.tried) == 1
