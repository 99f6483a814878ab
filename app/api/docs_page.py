"""The document of the API as one page for people: HTML without a script, a font or anything from elsewhere."""

from html import escape
from typing import Any

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}
h1{font-size:1.6rem}h2{margin-top:2.5rem;border-bottom:1px solid #d0d7de}
details{border:1px solid #d0d7de;border-radius:6px;margin:.5rem 0;padding:.4rem .8rem}
summary{cursor:pointer}code{font-family:ui-monospace,monospace;font-size:.92em}
.m{display:inline-block;width:4rem;font-weight:600}.r{float:right;color:#57606a}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.2rem .6rem .2rem 0;vertical-align:top}
@media(prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}h2,details{border-color:#30363d}}
"""


def page(document: dict[str, Any]) -> str:
    """HTML of an OpenAPI ``document``."""
    info = document["info"]
    tags = "".join(_tag(tag["name"], document["paths"]) for tag in document["tags"])
    schemas = "".join(_schema(name, schema) for name, schema in document["components"]["schemas"].items())
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(info["title"])}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1><p>{escape(info['summary'])}</p>"
        f'<p>{escape(info["description"])}</p><p><a href="/openapi.json">OpenAPI 3.1 document</a></p>'
        f"{tags}<h2>Types</h2>{schemas}</body></html>"
    )


def _tag(name: str, paths: dict[str, Any]) -> str:
    operations = [
        _operation(path, method, operation)
        for path, methods in paths.items()
        for method, operation in methods.items()
        if name in operation["tags"]
    ]
    return f"<h2>{escape(name)}</h2>{''.join(operations)}"


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    right = operation.get("x-right")
    rows = "".join(
        f"<tr><td><code>{escape(p['name'])}</code></td><td>{p['in']}{', required' if p['required'] else ''}</td>"
        f"<td>{escape(kind_of(p['schema']))}</td><td>{escape(p.get('description', ''))}</td></tr>"
        for p in operation["parameters"]
    )
    body = operation.get("requestBody")
    takes = f"<p>Takes {_media(body['content'])}</p>" if body else ""
    answers = "".join(
        f"<tr><td><code>{status}</code></td><td>{escape(r['description'])}</td><td>{_media(r['content'])}</td></tr>"
        for status, r in operation["responses"].items()
    )
    return (
        f'<details><summary><span class="m">{method.upper()}</span> <code>{escape(path)}</code> '
        f'{escape(operation["summary"])}<span class="r">{escape(right or "open")}</span></summary>'
        f"<p>{escape(operation['description'])}</p><table>{rows}</table>{takes}<table>{answers}</table></details>"
    )


def _media(content: dict[str, Any]) -> str:
    return ", ".join(f"<code>{escape(kind)}</code> {_link(kind_of(c['schema']))}" for kind, c in content.items())


def _link(kind: str) -> str:
    return f'<a href="#{escape(kind)}">{escape(kind)}</a>' if kind[:1].isupper() else escape(kind)


def kind_of(schema: dict[str, Any]) -> str:
    """The type of a schema in words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "enum" in schema:
        return "one of " + ", ".join(str(value) or '""' for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(kind_of(option) for option in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {kind_of(schema.get('items') or {})}"
    return str(schema.get("type", "any"))


def _schema(name: str, schema: dict[str, Any]) -> str:
    required = set(schema.get("required", ()))
    rows = "".join(
        f"<tr><td><code>{escape(field)}</code></td><td>{_link(kind_of(kind))}</td>"
        f"<td>{'' if field in required else 'optional'}</td></tr>"
        for field, kind in schema.get("properties", {}).items()
    )
    return (
        f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary>'
        f"<p>{escape(schema.get('description', ''))}</p><table>{rows}</table></details>"
    )
