"""``python -m tests.chaos``: run scenarios, print the verdicts, write docs/evidence/chaos.md. See ``--help``."""

import argparse
import os
import sys

from tests.chaos.runner import main


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SEED") or 0), help="0: one from the clock")
    parser.add_argument("--only", default=os.environ.get("ONLY", ""), help="names of scenarios, separated by commas")
    parser.add_argument("--long", action="store_true", default=bool(os.environ.get("LONG")), help="half an hour")
    parser.add_argument("--minutes", type=float, default=float(os.environ.get("MINUTES") or 0), help="of a long run")
    parser.add_argument("--ci", action="store_true", help="the part that `make test` runs: under four minutes")
    parser.add_argument("--write", action="store_true", help="write the page, also of a part")
    return parser.parse_args()


if __name__ == "__main__":
    arguments = _arguments()
    options = {name: getattr(arguments, name) for name in ("long", "ci", "minutes", "write")}
    sys.exit(main(arguments.seed, arguments.only, **options))
