"""How long `--help` of every command takes, as a person waits for it: `python -m benchmarks.help_time [ROUNDS]`.

Prints the best of ROUNDS (default 5) fresh processes each, by the clock and as CPU time: the one is the other on a
machine that does nothing else. Exits 1 when the CPU time of one is over 0.2 s.
"""

import resource
import subprocess
import sys
import time

from app.cli.main import COMMANDS

GOAL_S = 0.2


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    slow = 0
    for words in [[], *([name] for name in COMMANDS)]:
        took = [_once(words) for _ in range(rounds)]
        clock_s, cpu_s = (min(kind) for kind in zip(*took, strict=True))
        slow += cpu_s > GOAL_S
        print(f"{' '.join([*words, '--help']):24} clock {clock_s:.3f} s  CPU {cpu_s:.3f} s")
    print(f"{slow} of {len(COMMANDS) + 1} over {GOAL_S} s")
    return int(slow > 0)


def _once(words: list[str]) -> tuple[float, float]:
    command = [sys.executable, "-m", "app.cli.main", *words, "--help"]
    begin_s, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - begin_s, cpu_s


if __name__ == "__main__":
    sys.exit(main())
