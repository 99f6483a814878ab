import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from app.adapters.process.orphan import EXIT_ORPHAN

ROOT = Path(__file__).parents[3]
CHILD = "from app.adapters.process.orphan import die_with_parent; die_with_parent(); print('up', flush=True); import signal; signal.pause()"
PARENT = f"""
import subprocess, sys, signal
child = subprocess.Popen([sys.executable, "-c", {CHILD!r}], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
signal.pause()
"""


def test_a_child_ends_when_the_pipe_of_its_parent_ends():
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdin is not None
    assert child.stdout is not None
    with child:
        assert child.stdout.readline() == "up\n"
        child.stdin.close()
        assert child.wait(10) == EXIT_ORPHAN


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
def test_a_stopped_child_ends_when_its_parent_is_killed():
    parent = subprocess.Popen([sys.executable, "-c", PARENT], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent:
        child = psutil.Process(int(parent.stdout.readline()))
        child.suspend()
        parent.kill()
        deadline = time.monotonic() + 10
        while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline, "the child outlived its parent"
            os.sched_yield()
