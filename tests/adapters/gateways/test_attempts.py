"""Tries of one call."""

import pytest

from app.adapters.gateways.attempts import CallOptions, attempted, seconds
from app.core.ports import Conflict, GatewayError, Unavailable

OPTIONS = CallOptions(url="http://gateway", attempts=3, pause_s=0.001)


class Script:
    """Raises the errors one after the other, then answers; counts its calls."""

    def __init__(self, *errors: GatewayError) -> None:
        self.errors, self.calls = list(errors), 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


async def test_what_may_pass_by_itself_is_tried_again():
    script = Script(Unavailable("down"), Unavailable("down"))
    assert await attempted(OPTIONS, "GET", script) == "answer"
    assert script.calls == 3


async def test_the_last_error_is_what_remains():
    script = Script(Unavailable("a"), Unavailable("b"), Unavailable("c"), Unavailable("d"))
    with pytest.raises(Unavailable, match="c"):
        await attempted(OPTIONS, "GET", script)


@pytest.mark.parametrize("error", [Conflict("other state"), Unavailable("busy", 2.0)])
async def test_what_needs_the_caller_goes_to_the_caller_at_once(error):
    script = Script(error)
    with pytest.raises(type(error)):
        await attempted(OPTIONS, "PUT", script)
    assert script.calls == 1


@pytest.mark.parametrize(
    ("text", "expected"), [("7", 7.0), ("", 0.0), ("-1", 0.0), ("1.5", 0.0), ("٣", 0.0), ("Fri, 31 Dec 1999", 0.0)]
)
def test_only_whole_seconds_are_read(text, expected):
    assert seconds(text) == expected
