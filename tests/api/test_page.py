"""The files of the live page: what they may not do, and that they are all there. What they show: tests/e2e/test_page.py."""

import re

import pytest

from app.api.routes.page import FOLDER, files
from tests.api.harness import api, world

SCRIPTS = {name: text for name, text in files().items() if name.endswith(".js")}


@pytest.fixture
def model(tmp_path):
    made = world(tmp_path)
    yield made
    made.store.close()


async def test_the_page_and_its_files_are_given_to_anybody_with_a_policy_that_allows_nothing_from_elsewhere(model):
    kinds = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    async with api(model) as running:
        status, body, headers = await running.ask("GET", "/")
        assert (status, body) == (200, files()["index.html"].encode())
        for name, text in files().items():
            status, body, headers = await running.ask("GET", f"/page/{name}")
            assert (status, body) == (200, text.encode()), name
            assert headers["Content-Type"] == f"{kinds[name[name.rindex('.') :]]}; charset=utf-8"
            policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
            assert policy["default-src"] == "'none'"
            assert {policy[f"{what}-src"] for what in ("script", "style", "connect", "img")} == {"'self'"}
            assert policy["frame-ancestors"] == policy["form-action"] == policy["base-uri"] == "'none'"


async def test_nothing_else_of_the_machine_is_given(model):
    async with api(model) as running:
        for path in (
            "/page/nothing.js",
            "/page/view/nothing.js",
            "/page/..%2Fserver.py",
            "/page/view/..%2F..%2Fkeys.py",
        ):
            assert (await running.ask("GET", path))[0] == 404, path


async def test_a_file_the_browser_has_is_not_sent_again(model):
    async with api(model) as running:
        _, _, headers = await running.ask("GET", "/page/main.js")
        status, body, _ = await running.ask("GET", "/page/main.js", headers={"If-None-Match": headers["ETag"]})
        assert (status, body) == (304, b"")


def test_every_file_is_asked_for_by_another_one_and_every_import_leads_to_a_file():
    wanted = {
        re.sub(r"^/page/", "", path) for path in re.findall(r'(?:href|src)="(/page/[^"]+)"', files()["index.html"])
    }
    for name, text in SCRIPTS.items():
        wanted |= {
            (FOLDER / name).parent.joinpath(path).resolve().relative_to(FOLDER).as_posix()
            for path in re.findall(r'from "(\.[^"]+)"', text)
        }
    assert wanted == set(files()) - {"index.html"}


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_a_script_makes_text_never_markup_and_asks_only_this_server(name):
    code = re.sub(r"/\*.*?\*/|//[^\n]*", "", SCRIPTS[name], flags=re.DOTALL)
    forbidden = (
        r"innerHTML|outerHTML|insertAdjacent|document\.write|DOMParser|\beval\b|new Function|localStorage|cookie"
    )
    assert not re.search(forbidden, code)
    assert not re.search(r"https?://", code.replace("http://www.w3.org/2000/svg", ""))
    assert len(SCRIPTS[name].splitlines()) <= 200


def test_nothing_comes_from_another_place():
    for name in ("index.html", "style.css"):
        assert not re.search(r"https?:|url\(|@import", files()[name]), name
    assert not re.search(r"<script(?! type=\"module\" src=)|\son\w+=|style=", files()["index.html"])
