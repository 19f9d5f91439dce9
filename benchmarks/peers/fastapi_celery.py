"""FastAPI and one Celery task per lead: what most teams would write.

    uvicorn benchmarks.peers.fastapi_celery:app
    celery -A benchmarks.peers.fastapi_celery:celery worker

The broker is the same server, so a message that was sent is as safe there as our entry in the stream (until a worker
takes it). `delay` blocks, so the handler is a plain function, which FastAPI runs in its threads, as its documentation
says; ignored results and the lean worker are what Celery's own advice for throughput comes to.
"""

import os
import time
import uuid
from typing import Any

import redis
from celery import Celery
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict

app = FastAPI()
celery = Celery("leads", broker=os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0"))
celery.conf.update(task_ignore_result=True, worker_prefetch_multiplier=4)
client = redis.Redis.from_url(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0"))


class Lead(BaseModel):
    """What the form sends."""

    model_config = ConfigDict(extra="allow")

    email: str
    name: str = ""
    company: str = ""
    source: str = ""


@celery.task  # type: ignore[untyped-decorator]
def route(lead_id: str, lead: dict[str, Any]) -> None:
    """Give the lead to a team, and note when: the writes a router makes, at their smallest."""
    team = "inbound" if lead.get("source") == "demo request" else "triage"
    now = time.time_ns() // 1_000_000
    with client.pipeline(transaction=True) as pipe:
        record: Any = {**lead, "team": team, "routed_at": now}
        pipe.hset(f"peer:lead:{lead_id}", mapping=record)
        pipe.zadd("peer:due", {lead_id: now + 300_000})
        pipe.execute()


@app.post("/hooks/open")
def hook(lead: Lead) -> dict[str, str]:
    """Queue the lead, then answer."""
    lead_id = uuid.uuid4().hex
    route.delay(lead_id, lead.model_dump())
    return {"status": "stored", "id": lead_id}


@app.post("/hooks/waiting")
async def waiting_hook(lead: Lead) -> dict[str, str]:
    """The same without threads: nothing else is answered while a message is sent, and no thread has to be woken."""
    lead_id = uuid.uuid4().hex
    route.delay(lead_id, lead.model_dump())
    return {"status": "stored", "id": lead_id}
