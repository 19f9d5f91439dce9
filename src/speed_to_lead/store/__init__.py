"""The store: the only package that knows Redis. `memory/` is a second full implementation for fast tests.

contract.py   what a store can do, and the values it answers with
keys.py       every key name
scripts/      one Lua script per kind of change, each with its contract at the head
queue.py      submissions waiting to be routed, and dead letters
leads.py      lead records, the deadline index, rotations and loads
outbox.py     alerts waiting to be delivered
operations.py ledger, health, server policy
privacy.py    everything that is kept of people, and how it leaves; everything.py walks it
configs.py    the config that is published, version after version
shadow.py     the config that is tried beside it
encryption.py what is personal as a token; resealing.py brings all of it under a new key
intake.py     the web process's way in: concurrent requests share one write
"""

from speed_to_lead.store.contract import (
    ClaimedAlert,
    ConfigVersion,
    DeadAlert,
    Health,
    Lane,
    QueueEntry,
    Result,
    ServerPolicy,
    Store,
    StoreUnavailable,
)
from speed_to_lead.store.redis_store import open_store

__all__ = [
    "ClaimedAlert",
    "ConfigVersion",
    "DeadAlert",
    "Health",
    "Lane",
    "QueueEntry",
    "Result",
    "ServerPolicy",
    "Store",
    "StoreUnavailable",
    "open_store",
]
