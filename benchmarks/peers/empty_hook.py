"""Nothing but the HTTP server: what a hook could answer if it kept nothing. `uvicorn benchmarks.peers.empty_hook:app`."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send


async def reading(request: Request) -> Response:
    """Read the body, as whoever means to keep it must."""
    await request.body()
    return Response()


async def not_reading(_request: Request) -> Response:
    """Do not even read it."""
    return Response()


app = Starlette(
    routes=[
        Route("/hooks/reading", reading, methods=["POST"]),
        Route("/hooks/not-reading", not_reading, methods=["POST"]),
    ]
)

_HEAD = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]}
_BODY = {"type": "http.response.body", "body": b""}


async def bare(scope: Scope, receive: Receive, send: Send) -> None:
    """ASGI alone, without Starlette: the floor of this server."""
    assert scope["type"] == "http"
    while (await receive()).get("more_body", False):
        pass
    await send(_HEAD)
    await send(_BODY)
