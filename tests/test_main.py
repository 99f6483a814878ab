"""What a process of the worker imports, and so holds for as long as it lives."""

import subprocess
import sys

import pytest


def imported(module: str) -> set[str]:
    code = f"import sys, app.cli.main, {module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.simulation  # a second of imports each
@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("app.supervise", {"faust", "numpy", "scipy", "fastavro", "google", "opentelemetry", "grpc", "river"}),
        ("app.agent_process", {"numpy", "scipy", "grpc", "river"}),
        ("agents.optimize", {"scipy", "grpc", "river", "aiohttp"}),
    ],
)
def test_a_process_imports_nothing_large_that_it_does_not_need(module: str, heavy: set[str]):
    assert imported(module) & heavy == set()
