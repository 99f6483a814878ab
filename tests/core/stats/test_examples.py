"""The examples in docstrings are true."""

import doctest
from types import ModuleType

import pytest

from app.core.analyze import rings, thresholds
from app.core.stats import (
    ab,
    chi_squared,
    cusum,
    e_detector,
    e_values,
    holm,
    ks,
    obrien_fleming,
    psi,
    reference,
    robust,
    spread,
)

MODULES = (
    ab, chi_squared, cusum, e_detector, e_values, holm, ks, obrien_fleming, psi, reference, rings, robust, spread, thresholds,
)  # fmt: skip


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.__name__.rpartition(".")[2])
def test_the_examples_of_a_module_say_what_it_does(module: ModuleType) -> None:
    found = doctest.testmod(module)
    assert found.attempted and not found.failed
