"""What one check of `doctor` found."""

from typing import Literal

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """The result of one check; ``mend`` says what to do when it is not ok."""

    check: str
    result: Literal["ok", "warning", "broken"]
    found: str
    mend: str = ""
