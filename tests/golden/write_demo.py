"""Run the demo and put its real output into the stored report and the README: ``python tests/golden/write_demo.py``."""

import re
import subprocess
import sys
from pathlib import Path

import msgspec

from app.sim.report import Report
from app.sim.summary import lines

ROOT = Path(__file__).parents[2]
STORED = Path(__file__).parent / "demo.json"


def block(report: Report) -> str:
    """The demo's block of the README: the commands, and the end of what they print."""
    return "\n".join(["```console", "$ make setup", "$ make demo", "...", *list(lines(report))[1:], "```"])


def main() -> int:
    command = [sys.executable, "-m", "app.cli.main", "demo", "--json"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=False)
    report = msgspec.json.decode(done.stdout, type=Report)
    if report.failures:
        return 1
    STORED.write_bytes(done.stdout)
    readme = ROOT / "README.md"
    readme.write_text(
        re.sub(r"```console\n\$ make setup\n.*?```", lambda _: block(report), readme.read_text(), flags=re.DOTALL)
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
