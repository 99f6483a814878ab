"""A route: what it takes and gives is read off its handler's types, so the document of the API cannot drift from it.

A handler is ``async def f(context, params, body) -> answer``: ``params`` a frozen struct of path and query parameters,
``body`` a struct (or None), the answer a struct, a ``Reply``, or a list.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any, Literal, get_origin, get_type_hints

import msgspec
from aiohttp import web

from app.api.context import Context, Reply
from app.api.identity import Right
from app.api.problems import Problem, bad_request

PREFIX = "/api/v1"
Method = Literal["GET", "POST", "PUT", "DELETE"]


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No parameters."""


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """``right`` None: anybody. ``own_check``: the handler asks for the right itself. ``answer``: the type of a success
    where the handler returns a ``Reply``. ``errors``: statuses beside 400, 401, 403, 429 and 500. ``follows``: it reads
    Last-Event-ID.
    """

    method: Method
    path: str
    handler: Callable[..., Awaitable[Any]]
    right: Right | None
    tag: str
    own_check: bool = False
    status: int = 200
    answer: Any = None
    media: str = "application/json"
    body_media: str = "application/json"
    errors: tuple[int, ...] = ()
    order: bool = False
    follows: bool = False

    @property
    def params(self) -> type[msgspec.Struct]:
        """The struct of its parameters."""
        found: type[msgspec.Struct] = get_type_hints(self.handler)["params"]
        return found

    @property
    def body(self) -> Any:
        """The type of its body; None when it takes none."""
        hint = get_type_hints(self.handler).get("body")
        return None if hint is type(None) else hint

    @property
    def returns(self) -> Any:
        """The type of its success."""
        return self.answer or get_type_hints(self.handler)["return"]

    @property
    def summary(self) -> str:
        """The first line of the handler's docstring."""
        return (self.handler.__doc__ or "").strip().partition("\n")[0].rstrip(".")

    @property
    def names_in_path(self) -> tuple[str, ...]:
        """The parameters that are part of the path."""
        return tuple(re.findall(r"{(\w+)}", self.path))


def params_of(route: Route, request: web.Request) -> msgspec.Struct:
    """The parameters of a request. ``Problem`` 400 that names the one that is wrong."""
    given: dict[str, Any] = dict(request.match_info)
    many = many_of(route.params)
    for name in dict.fromkeys(request.query):
        values = request.query.getall(name)
        if name in route.names_in_path:
            raise bad_request(f"{name}: belongs into the path")
        if name in many:
            given[name] = [part for value in values for part in value.split(",") if part]
        elif len(values) > 1:
            raise bad_request(f"{name}: given {len(values)} times")
        else:
            given[name] = values[0]
    if any("\0" in value for value in request.match_info.values()):
        raise bad_request("the path holds a zero character")
    try:
        return msgspec.convert(given, route.params, strict=False)
    except msgspec.ValidationError as error:
        raise bad_request(f"parameters: {error}") from None


def many_of(params: type[msgspec.Struct]) -> frozenset[str]:
    """Parameters that may be given several times, or separated by commas."""
    hints = get_type_hints(params)
    return frozenset(name for name, hint in hints.items() if get_origin(hint) is tuple)


def body_of(route: Route, raw: bytes, max_depth: int) -> Any:
    """The body of a request. ``Problem`` 400 that names the place in it."""
    if not raw.strip():
        raise bad_request("a JSON body is needed")
    if depth(raw) > max_depth:
        raise Problem(400, "too_deep", f"objects or arrays are nested deeper than {max_depth} levels")
    try:
        return msgspec.json.decode(raw, type=route.body)
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise bad_request(f"body: {error}") from None


_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
_BRACKET = re.compile(rb"[\[\]{}]")


def depth(raw: bytes) -> int:
    """How deep the JSON ``raw`` is nested; of what is not JSON, an upper bound that costs no recursion."""
    level = deepest = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", raw)):
        level += 1 if bracket in b"[{" else -1
        deepest = max(deepest, level)
    return deepest


def reply_of(route: Route, answer: Any) -> Reply:
    """``answer`` as it goes out."""
    return answer if isinstance(answer, Reply) else Reply(answer, route.status)


async def run(route: Route, context: Context, params: msgspec.Struct, raw: bytes) -> Reply:
    """Check the right, read the body, call the handler."""
    service = getattr(params, "service", "")
    if route.right is not None and not route.own_check:
        if "service" in route.names_in_path:
            context.require(route.right, service)
        elif context.visible(route.right) == ():
            raise Problem(403, "forbidden", f"the right to {route.right} is missing", details={"right": route.right})
    body = None
    if route.body is not None and route.body is not bytes:
        body = body_of(route, raw, context.parts.settings.api.max_depth)
    return reply_of(route, await route.handler(context, params, raw if route.body is bytes else body))
