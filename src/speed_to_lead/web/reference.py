"""`GET /docs`: the OpenAPI description as one plain page.

It has no script and takes nothing from elsewhere, so the strictest policy holds for it and it works where no other host
is reached. Programs read the same at /openapi.json.
"""

import base64
import hashlib
from collections.abc import Callable, Coroutine, Iterator, Mapping
from html import escape
from typing import Any, Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from speed_to_lead.web.guard import scope_needed
from speed_to_lead.web.headers import CONTENT_SECURITY_POLICY

_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1c1c1c; background: #fff }
section { border-top: 1px solid #ccc; margin-top: 2rem }
code, h2 { font-family: ui-monospace, monospace; overflow-wrap: anywhere }
h2 { font-size: 1.1rem } h3 { font-size: 1rem; margin-bottom: .3rem }
table { border-collapse: collapse } th, td { text-align: left; vertical-align: top; padding: .15rem 1rem .15rem 0 }
"""
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY: Final = f"{CONTENT_SECURITY_POLICY}; style-src 'sha256-{_STYLE_HASH}'"


def reference_page(app: FastAPI) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    """The route of the page; it is made when first asked for, when every route is known."""
    page = ""

    async def show(_request: Request) -> Response:
        nonlocal page
        page = page or page_of(app.openapi())
        return HTMLResponse(page, headers={"content-security-policy": _POLICY})

    return show


def page_of(document: Mapping[str, Any]) -> str:
    """The page of an OpenAPI document. Everything in it is escaped, ours as it is."""
    info = document["info"]
    sections = "\n".join(
        "\n".join(_operation(document, path, method, operation))
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    )
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{_text(info["title"])}: API</title>
<style>{_STYLE}</style></head>
<body>
<h1>{_text(info["title"])} {_text(info["version"])}</h1>
<p>{_text(info.get("summary", ""))}</p>
<p>Programs send a key as <code>Authorization: Bearer …</code>; <code>speed-to-lead keys new</code> makes one. The same
description for programs is <a href="/openapi.json">/openapi.json</a>.</p>
{sections}
</body>
</html>
"""


def _operation(
    document: Mapping[str, Any], path: str, method: str, operation: Mapping[str, Any]
) -> Iterator[str]:
    needed = scope_needed(method.upper(), path)
    yield f"<section><h2>{_text(method.upper())} {_text(path)}</h2>"
    yield f"<p><strong>{_text(operation.get('summary', ''))}.</strong> {_text(operation.get('description', ''))}</p>"
    yield f"<p>Needs a key with the scope <code>{_text(needed or 'none')}</code>.</p>"
    yield from _table("Parameters", (_parameter(document, one) for one in operation.get("parameters", ())))
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        schema = _resolved(document, content.get("schema", {}))
        required = schema.get("required", ())
        rows = (
            (name, _kind(document, one), "required" if name in required else "", one.get("description", ""))
            for name, one in schema.get("properties", {}).items()
        )
        yield from _table(f"Body as {kind}", rows)
        if schema.get("description"):
            yield f"<p>{_text(schema['description'])}</p>"
    answers = ((status, one.get("description", "")) for status, one in operation["responses"].items())
    yield from _table("Answers", answers)
    yield "</section>"


def _parameter(document: Mapping[str, Any], one: Mapping[str, Any]) -> tuple[str, ...]:
    required = "required" if one.get("required") else ""
    return (
        one["name"],
        _kind(document, one.get("schema", {})),
        one["in"],
        required,
        one.get("description", ""),
    )


def _resolved(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = schema.get("$ref", "")
    if not reference:
        return schema
    found: Mapping[str, Any] = document["components"]["schemas"][reference.rpartition("/")[2]]
    return found


def _kind(document: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """What a value may be, in a few words: `text`-like types, or the words there are to choose from."""
    schema = _resolved(document, schema)
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    either = [_kind(document, one) for one in schema.get("anyOf", ())]
    return " | ".join(either) or str(schema.get("format") or schema.get("type") or "any")


def _table(title: str, rows: Iterator[tuple[Any, ...]]) -> Iterator[str]:
    cells = [
        "".join(
            f"<td>{f'<code>{_text(cell)}</code>' if not number else _text(cell)}</td>"
            for number, cell in enumerate(row)
        )
        for row in rows
    ]
    if cells:
        yield f"<h3>{_text(title)}</h3><table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"


def _text(value: object) -> str:
    return escape(str(value))
