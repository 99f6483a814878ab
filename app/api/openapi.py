"""The OpenAPI 3.1 document, made from the routes and their types."""

import re
from collections.abc import Iterable
from functools import cache
from typing import Any, get_type_hints

import msgspec

from app import __version__
from app.api.problems import ProblemBody
from app.api.route import PREFIX, Route, many_of

_REF = "#/components/schemas/{name}"
_WORDS = {
    207: "Some events were refused",
    400: "The request is wrong; details name the place",
    401: "No credentials, or not good ones",
    403: "A right is missing",
    404: "Not there, or not for the asker",
    409: "In conflict with what is there",
    412: "The document is not the one of If-Match",
    413: "Too large",
    415: "Send another content type",
    422: "Understood, and not possible so",
    429: "Too many requests; see Retry-After",
    500: "A defect",
    501: "Not built, with the reason",
    503: "Not now; see Retry-After",
}
_ORDER_HEADERS = (
    ("Idempotency-Key", "A retry with the same key is the same order.", {"type": "string", "maxLength": 200}),
)
_FOLLOW_HEADERS = (
    ("Last-Event-ID", "Id of the last decision that came; empty: from now on.", {"type": "string", "maxLength": 200}),
)


@cache
def document(routes: tuple[Route, ...]) -> dict[str, Any]:
    """The document of ``routes``."""
    types = {route: route.returns for route in routes if route.media == "application/json"}
    bodies = {route: route.body for route in routes if route.body not in {None, bytes}}
    listed = [ProblemBody, *types.values(), *bodies.values()]
    schemas, components = msgspec.json.schema_components(listed, ref_template=_REF)
    shown = dict(zip(types, schemas[1 : 1 + len(types)], strict=True))
    taken = dict(zip(bodies, schemas[1 + len(types) :], strict=True))
    paths: dict[str, Any] = {}
    for route in routes:
        at = route.path if route.right is None else PREFIX + route.path
        paths.setdefault(at, {})[route.method.lower()] = _operation(route, shown.get(route), taken.get(route))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "LLM Auto-Optimizer API",
            "version": __version__,
            "summary": "What the optimizer decided and why, what traffic it counted, and orders to it.",
            "description": (
                "Reads come from a model of the public topics; every answer says how far it is behind "
                "(Model-Lag-Records, Model-Caught-Up). Orders become events on llm.commands: 202 means the log has it, "
                "not that it was obeyed."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}, {"key": []}],
        "tags": [{"name": name} for name in dict.fromkeys(route.tag for route in routes)],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT or API key"},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


def _operation(route: Route, answer: Any, body: Any) -> dict[str, Any]:
    docstring = " ".join((route.handler.__doc__ or "").split())
    found: dict[str, Any] = {
        "operationId": f"{route.handler.__name__}_{_slug(route)}",
        "summary": route.summary,
        "description": docstring,
        "tags": [route.tag],
        "parameters": [*_parameters(route), *_headers(route)],
        "responses": _responses(route, answer),
    }
    if route.right is None:
        found["security"] = []
    else:
        found["x-right"] = route.right
    if body is not None:
        found["requestBody"] = {"required": True, "content": {route.body_media: {"schema": body}}}
    elif route.body is bytes:
        array = {"type": "array", "items": {"type": "object"}, "description": "CloudEvents 1.0, structured mode."}
        found["requestBody"] = {"required": True, "content": {route.body_media: {"schema": array}}}
    return found


def _slug(route: Route) -> str:
    return re.sub(r"\W+", "_", f"{route.method.lower()}{route.path}").strip("_")


def _parameters(route: Route) -> list[dict[str, Any]]:
    hints = get_type_hints(route.params, include_extras=True)
    many = many_of(route.params)
    found = []
    for field in msgspec.structs.fields(route.params):
        schema = dict(msgspec.json.schema(hints[field.name]))
        in_path = field.name in route.names_in_path
        if field.default is not msgspec.NODEFAULT and field.default not in {"", ()}:
            schema["default"] = field.default
        parameter: dict[str, Any] = {
            "name": field.name,
            "in": "path" if in_path else "query",
            "required": in_path or field.required,
            "schema": schema,
        }
        if text := schema.pop("description", ""):
            parameter["description"] = text
        if field.name in many:
            parameter |= {"style": "form", "explode": True}
        found.append(parameter)
    return found


def _headers(route: Route) -> Iterable[dict[str, Any]]:
    named = (*(_ORDER_HEADERS if route.order else ()), *(_FOLLOW_HEADERS if route.follows else ()))
    for name, text, schema in named:
        yield {"name": name, "in": "header", "required": False, "description": text, "schema": schema}


def _responses(route: Route, answer: Any) -> dict[str, Any]:
    schema = answer if answer is not None else {"type": "string"}
    if route.returns is bytes:
        schema = {"type": "string", "format": "binary"}
    good = {"description": route.summary, "content": {route.media: {"schema": schema}}}
    found = {str(route.status): good}
    common = (400, 429, 500, 503) if route.right is None else (400, 401, 403, 429, 500, 503)
    body = (408, 413) if route.body is not None else ()
    for status in sorted({*common, *body, *route.errors} - {route.status}):
        if (status in {207, 422} and route.body is bytes) or (status == 503 and route.path.endswith("ready")):
            found[str(status)] = {**good, "description": _WORDS[status]}
            continue
        found[str(status)] = {
            "description": _WORDS.get(status, "See the problem"),
            "content": {"application/problem+json": {"schema": {"$ref": _REF.format(name="ProblemBody")}}},
        }
    return found
