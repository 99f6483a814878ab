"""What came of one scenario with one seed."""

from pathlib import Path

import msgspec

from tests.chaos.verdict import Verdict


class Result(msgspec.Struct):
    """One scenario, one seed. ``failed``: why there is no verdict; ``folder``: its logs, kept when it is not exact."""

    name: str
    seed: int
    took_s: float
    verdict: Verdict | None
    failed: str
    said: list[str]
    notes: dict[str, str]
    folder: Path
    long: bool = False

    @property
    def exact(self) -> bool:
        return self.verdict is not None and self.verdict.exact

    @property
    def again(self) -> str:
        """The command that does the same again."""
        return again(self.name, self.seed, long=self.long)


def again(name: str, seed: int, *, long: bool) -> str:
    """The command that runs one scenario with one seed."""
    return f"make chaos SEED={seed} ONLY={name}{' LONG=1' if long else ''}"
