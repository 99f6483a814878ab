"""A child that outlives its supervisor would be a zombie in its consumer group: it dies with it."""

import ctypes
import os
import signal
import sys
import threading

PR_SET_PDEATHSIG = 1
EXIT_ORPHAN = 8
"""Exit code: the supervisor is gone."""


def die_with_parent() -> None:
    """End this process, at once, when the supervisor ends however it ends. Needs the supervisor's pipe as stdin.

    On Linux the kernel kills it (also while it is stopped); elsewhere, and for a parent that died before this call,
    the end of the pipe does.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    threading.Thread(target=_watch, name="parent", daemon=True).start()


def _watch() -> None:
    while os.read(0, 1024):
        pass
    os._exit(EXIT_ORPHAN)
