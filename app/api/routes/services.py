"""Services: where they stand, their documents, splits and proven savings."""

from typing import Any

import msgspec

from app.adapters.readmodel.answers import SavingsClaim, ServiceState
from app.api.context import Context, Reply
from app.api.orders import Accepted
from app.api.problems import Problem
from app.api.route import Route
from app.api.routes.common import OfService, Params, found
from app.api.routes.decisions import accepted
from app.api.server import etag_of
from app.core.document import Budget, DocumentError, diff, from_object, to_object
from app.core.document import ServiceDocument as Doc
from app.core.split import Split


class ServiceList(msgspec.Struct, frozen=True, kw_only=True):
    """Every service the asker may see."""

    services: list[ServiceState]


class DocumentBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A service document; its keys are those of docs/service-document.md."""

    document: dict[str, Any]
    reason: str = ""


class DocumentAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The document in force, every key with its value. The ETag answers If-Match of a PUT."""

    service: str
    document: dict[str, Any]


class DocumentChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What a document would change: nothing is sent."""

    service: str
    changes: list[dict[str, Any]]


class SavingsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What was proven to be saved, newest hour first."""

    service: str
    claims: list[SavingsClaim]


class BudgetAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The budget of a service, and what it spent by closed hours: USD of answered requests and of late ones."""

    service: str
    budget: Budget | None
    spent_24h_usd: float
    spent_30d_usd: float
    late_30d_usd: float
    own_cost_30d_usd: float


async def list_services(context: Context, params: Params, body: None) -> ServiceList:
    """List services and where each stands."""
    names = await context.ask(context.model.names, context.visible())
    states = await context.ask(lambda: [context.model.state(name) for name in names])
    return ServiceList(services=[state for state in states if state is not None])


async def get_service(context: Context, params: OfService, body: None) -> ServiceState:
    """Show where one service stands."""
    state: ServiceState = found(await context.ask(context.model.state, params.service), f"service {params.service!r}")
    return state


async def get_split(context: Context, params: OfService, body: None) -> Split:
    """Show the newest split: what a gateway should do now."""
    split: Split = found(await context.ask(context.model.split, params.service), f"split of {params.service!r}")
    return split


async def get_document(context: Context, params: OfService, body: None) -> DocumentAnswer:
    """Show the document in force."""
    document = found(await context.ask(context.model.document, params.service), f"document of {params.service!r}")
    return _answer(document)


async def put_document(context: Context, params: OfService, body: DocumentBody) -> Reply:
    """Put a document into force."""
    document = read(params.service, body.document)
    held = await context.ask(context.model.document, params.service)
    if context.if_match and context.if_match not in {"*", _etag(held)}:
        raise Problem(
            412, "precondition_failed", "the document has changed since: get it again", details={"etag": _etag(held)}
        )
    wire = {
        "service": params.service,
        "command": "configure",
        "args": {"document": to_object(document)},
        "reason": body.reason,
    }
    return accepted(await context.parts.orders.give(context.identity, context.idempotency_key, wire))


async def diff_document(context: Context, params: OfService, body: DocumentBody) -> DocumentChanges:
    """Show what a document would change."""
    document = read(params.service, body.document)
    held = await context.ask(context.model.document, params.service)
    return DocumentChanges(service=params.service, changes=[msgspec.to_builtins(c) for c in diff(held, document)])


async def get_savings(context: Context, params: OfService, body: None) -> SavingsAnswer:
    """Show what is proven to be saved."""
    claims = await context.ask(context.model.savings, params.service)
    return SavingsAnswer(service=params.service, claims=claims)


async def get_budget(context: Context, params: OfService, body: None) -> BudgetAnswer:
    """Show the budget and what was spent."""
    found(await context.ask(context.model.state, params.service), f"service {params.service!r}")
    document: Doc | None = await context.ask(context.model.document, params.service)
    row = (await context.ask(context.model.store.query, _SPENT, {"service": params.service}.values()))[0]
    return BudgetAnswer(
        service=params.service,
        budget=document.budget if document else None,
        spent_24h_usd=row["day"] or 0.0,
        spent_30d_usd=row["month"] or 0.0,
        late_30d_usd=row["late"] or 0.0,
        own_cost_30d_usd=row["own"] or 0.0,
    )


_SPENT = """
WITH hours AS (SELECT * FROM aggregates WHERE service = ? AND window_s = 3600 AND arm = '*' AND slice = '*'),
     newest AS (SELECT max(end_s) AS at FROM hours)
SELECT sum(CASE WHEN end_s > at - 86400 THEN cost_usd END) AS day, sum(cost_usd) AS month, sum(late_cost_usd) AS late,
       sum(own_cost_usd) AS own
FROM hours, newest WHERE end_s > at - 30 * 86400
"""


def read(service: str, given: dict[str, Any]) -> Doc:
    """The document, checked. ``Problem`` 400 that names the place in it."""
    try:
        document = from_object({"service": service, **given})
    except DocumentError as error:
        raise Problem(400, "bad_document", str(error)) from None
    if document.service != service:
        raise Problem(400, "bad_document", f"the document is of {document.service!r}, the path says {service!r}")
    return document


def _answer(document: Doc) -> DocumentAnswer:
    return DocumentAnswer(service=document.service, document=to_object(document))


def _etag(document: Doc | None) -> str:
    return etag_of(msgspec.json.encode(_answer(document))) if document is not None else ""


_OF_ONE: dict[str, Any] = {"right": "read", "tag": "Services", "errors": (404,)}

ROUTES = (
    Route(method="GET", path="/services", handler=list_services, right="read", tag="Services"),
    Route(method="GET", path="/services/{service}", handler=get_service, **_OF_ONE),
    Route(method="GET", path="/services/{service}/split", handler=get_split, **_OF_ONE),
    Route(method="GET", path="/services/{service}/document", handler=get_document, **_OF_ONE),
    Route(
        method="PUT",
        path="/services/{service}/document",
        handler=put_document,
        right="administer",
        tag="Services",
        status=202,
        answer=Accepted,
        errors=(409, 412, 415, 422, 503),
        order=True,
    ),
    Route(
        method="POST",
        path="/services/{service}/document/diff",
        handler=diff_document,
        right="read",
        tag="Services",
        errors=(415,),
    ),
    Route(method="GET", path="/services/{service}/savings", handler=get_savings, right="read", tag="Services"),
    Route(method="GET", path="/services/{service}/budget", handler=get_budget, **_OF_ONE),
)
