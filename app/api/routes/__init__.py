"""Every route of the API, by what it is about."""

from app.api.route import Route
from app.api.routes import (
    commands,
    decisions,
    events,
    experiments,
    meta,
    optimize,
    page,
    services,
    strategies,
    stream,
    traffic,
    what_if,
)

ROUTES: tuple[Route, ...] = (
    *meta.ROUTES,
    *page.ROUTES,
    *optimize.ROUTES,
    *strategies.ROUTES,
    *experiments.ROUTES,
    *services.ROUTES,
    *traffic.ROUTES,
    *decisions.ROUTES,
    *what_if.ROUTES,
    *commands.ROUTES,
    *events.ROUTES,
    *stream.ROUTES,
)
