"""How long `--help` of every command takes, as a person waits for it: `python -m benchmarks.help_time [ROUNDS]`.

Prints the best and the median of ROUNDS (default 5) fresh processes each, and exits 1 when a best is over 0.2 s.
"""

import statistics
import subprocess
import sys
import time

from app.cli.main import COMMANDS

GOAL_S = 0.2


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    slow = 0
    for words in [[], *([name] for name in COMMANDS)]:
        took = sorted(_once(words) for _ in range(rounds))
        slow += took[0] > GOAL_S
        print(f"{' '.join([*words, '--help']):24} best {took[0]:.3f} s  median {statistics.median(took):.3f} s")
    print(f"{slow} of {len(COMMANDS) + 1} over {GOAL_S} s")
    return int(slow > 0)


def _once(words: list[str]) -> float:
    command = [sys.executable, "-m", "app.cli.main", *words, "--help"]
    begin_s = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin_s


if __name__ == "__main__":
    sys.exit(main())
