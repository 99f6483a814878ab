"""The live page: its files as they lie in the package; what they show, they ask for through the API like anybody."""

from functools import cache
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from app.api.context import Context, Reply
from app.api.problems import not_found
from app.api.route import Nothing, Route

FOLDER = Path(__file__).parents[1] / "page"
_MEDIA = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "Cache-Control": "no-cache",
}
_Name = Annotated[str, Meta(max_length=100)]


class OneFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of the page."""

    file: _Name


class OneFileBelow(OneFile, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of the page in one of its folders."""

    folder: _Name


async def index(context: Context, params: Nothing, body: None) -> Reply:
    """Show the live page."""
    return _reply("index.html")


async def file(context: Context, params: OneFile, body: None) -> Reply:
    """Give a file of the live page."""
    return _reply(params.file)


async def file_below(context: Context, params: OneFileBelow, body: None) -> Reply:
    """Give a file of the live page in a folder."""
    return _reply(f"{params.folder}/{params.file}")


@cache
def files() -> dict[str, str]:
    """Path below the page's folder -> text; nothing else can be asked for."""
    found = (path for path in sorted(FOLDER.rglob("*")) if path.suffix in _MEDIA)
    return {path.relative_to(FOLDER).as_posix(): path.read_text(encoding="utf-8") for path in found}


def _reply(name: str) -> Reply:
    text = files().get(name)
    if text is None:
        raise not_found(f"file {name!r}")
    return Reply(text, media=_MEDIA[Path(name).suffix], headers=_HEADERS)


_OPEN: dict[str, Any] = {"method": "GET", "right": None, "tag": "Page", "answer": str}

ROUTES = (
    Route(path="/", handler=index, media="text/html", **_OPEN),
    Route(path="/page/{file}", handler=file, media="text/*", errors=(404,), **_OPEN),
    Route(path="/page/{folder}/{file}", handler=file_below, media="text/*", errors=(404,), **_OPEN),
)
