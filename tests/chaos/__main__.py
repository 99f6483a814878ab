"""``python -m tests.chaos``: run scenarios, print the verdicts, write docs/evidence/chaos.md. See ``--help``."""

import argparse
import os
import sys

from tests.chaos.runner import Asked, main


def _asked() -> Asked:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SEED") or 0), help="0: one from the clock")
    parser.add_argument(
        "--seeds", type=int, default=int(os.environ.get("SEEDS") or 0), help="that many successive seeds"
    )
    parser.add_argument("--only", default=os.environ.get("ONLY", ""), help="names of scenarios, separated by commas")
    parser.add_argument("--long", action="store_true", default=bool(os.environ.get("LONG")), help="half an hour")
    parser.add_argument(
        "--minutes", type=float, default=float(os.environ.get("MINUTES") or 0), help="begin nothing new after these"
    )
    parser.add_argument("--ci", action="store_true", help="the part that `make test` runs: under four minutes")
    parser.add_argument("--write", action="store_true", help="keep the runs also of --ci")
    return Asked(**vars(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main(_asked()))
