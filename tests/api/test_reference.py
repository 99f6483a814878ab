import pytest

from app.api.openapi import document
from app.api.reference import FOLDER, pages
from app.api.route import PREFIX
from app.api.routes import ROUTES


@pytest.mark.parametrize("name", ["rest.md", "grpc.md", "events.md", "settings.md"])
def test_a_page_is_what_the_code_says(name):
    assert (FOLDER / name).read_text(encoding="utf-8") == pages()[name], (
        "write it again: make reference (python -m app.api.reference)"
    )


def test_every_route_is_in_the_document_with_an_id_of_its_own():
    paths = document(ROUTES)["paths"]
    ids = [operation["operationId"] for methods in paths.values() for operation in methods.values()]
    assert len(ids) == len(set(ids)) == len(ROUTES)
    for route in ROUTES:
        assert route.method.lower() in paths[route.path if route.right is None else PREFIX + route.path]
        assert route.summary


def test_what_the_platform_asked_for_is_there_under_its_names():
    described = document(ROUTES)
    for path in ("/optimize/prompt", "/optimize/model-selection", "/experiments", "/strategies"):
        assert PREFIX + path in described["paths"]
    schemas = described["components"]["schemas"]
    assert {"recommended_model", "alternatives", "estimated_metrics"} <= set(schemas["Selection"]["properties"])
    assert {"error", "details", "retry_after_seconds"} <= set(schemas["ProblemBody"]["properties"])
    assert {"experiment_id", "status", "start_time", "end_time"} <= set(schemas["ExperimentResponse"]["properties"])
