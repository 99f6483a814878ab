"""Splits traffic cannot be sent by."""

import pytest

from app.adapters.gateways.soundness import unsound
from app.core.split import ArmDefinition, TrialSlice
from tests.core.splits import ARMS, split, trial


def test_sound_splits_have_no_faults():
    assert unsound(split(1)) == ""
    assert unsound(trial(1, holdout_share=0.1, baseline="big", weights={"*": {"big": 1 / 3, "small": 2 / 3}})) == ""
    assert unsound(split(1, weights={})) == ""


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"arms": ()}, "arms"),
        ({"arms": (*ARMS, ARMS[0])}, "same name"),
        ({"arms": tuple(ArmDefinition(name=f"a{k}", model="m") for k in range(65)), "weights": {}}, "1 to 64"),
        ({"incumbent": "nobody"}, "incumbent"),
        ({"baseline": "nobody"}, "baseline"),
        ({"service": ""}, "service"),
        ({"version": -1}, "version"),
        ({"weights": {"eu": {"nobody": 1.0}}}, "weights[eu]"),
        ({"weights": {"*": {"big": 0.5}}}, "sum to 0.5"),
        ({"weights": {"*": {"big": 1.5, "small": -0.5}}}, "negative"),
        ({"weights": {f"s{k}": {"big": 1.0} for k in range(65)}}, "64 segments"),
        ({"trial": TrialSlice("t", "nobody", "big", 0.1, 0.1)}, "trial.arm"),
        ({"trial": TrialSlice("t", "small", "nobody", 0.1, 0.1)}, "trial.control_arm"),
        ({"trial": TrialSlice("t", "small", "big", 0.9, 0.2)}, "exceed 1"),
    ],
)
def test_each_fault_is_named(changes, named):
    assert named in unsound(split(**{"version": 1, **changes}))


def test_all_faults_are_named_at_once():
    text = unsound(split(1, incumbent="x", baseline="y"))
    assert "incumbent" in text
    assert "baseline" in text
