"""Lines of a benchmark's report, shown as soon as they are known, also through a pipe."""

import sys


def say(text: str) -> None:
    """One line on standard output, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
