"""One XADD per request, awaited: the obvious way to keep a submission. `uvicorn benchmarks.peers.xadd_hook:app`."""

import os
import time
import uuid

import redis.asyncio as redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

STREAM = "{stl}:peer:incoming"

client = redis.Redis.from_url(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0"))


async def hook(request: Request) -> JSONResponse:
    """Keep the raw body, then answer."""
    submission_id = uuid.uuid4().hex
    await client.xadd(
        STREAM,
        {
            "id": submission_id,
            "form": "open",
            "received_at": time.time_ns() // 1_000_000,
            "body": await request.body(),
            "content_type": request.headers.get("content-type", ""),
        },
    )
    return JSONResponse({"status": "stored", "id": submission_id})


app = Starlette(routes=[Route("/hooks/open", hook, methods=["POST"])])
