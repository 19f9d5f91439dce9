"""The store on Redis or Valkey: its parts on one connection, and the server's clock."""

from datetime import datetime
from typing import TYPE_CHECKING

from speed_to_lead.core.clock import from_ms
from speed_to_lead.store.audit import RedisAudit
from speed_to_lead.store.configs import RedisConfigs
from speed_to_lead.store.encryption import PLAIN, Vault
from speed_to_lead.store.fetches import RedisFetches
from speed_to_lead.store.keys import Keys
from speed_to_lead.store.leads import RedisLeads
from speed_to_lead.store.operations import RedisOperations
from speed_to_lead.store.outbox import RedisOutbox
from speed_to_lead.store.privacy import RedisPrivacy
from speed_to_lead.store.queue import RedisQueue
from speed_to_lead.store.reconciliations import RedisReconciliations
from speed_to_lead.store.reps import RedisReps
from speed_to_lead.store.server import Server, connect, translated_errors
from speed_to_lead.store.shadow import RedisShadow

if TYPE_CHECKING:
    import redis


class RedisStore:
    """The store on one server. Safe to share between threads."""

    def __init__(
        self,
        client: "redis.Redis",
        key_prefix: str = "stl",
        confirm_replicas: int = 0,
        vault: Vault = PLAIN,
    ) -> None:
        self.server = Server(client, Keys(key_prefix), confirm_replicas, vault)
        self.queue = RedisQueue(self.server)
        self.leads = RedisLeads(self.server)
        self.reps = RedisReps(self.server)
        self.outbox = RedisOutbox(self.server)
        self.operations = RedisOperations(self.server)
        self.audit = RedisAudit(self.server)
        self.fetches = RedisFetches(self.server)
        self.reconciliations = RedisReconciliations(self.server)
        self.privacy = RedisPrivacy(self.server)
        self.configs = RedisConfigs(self.server)
        self.shadow = RedisShadow(self.server)

    def now(self) -> datetime:
        """The server's time. Raises StoreUnavailable."""
        with translated_errors():
            seconds, microseconds = self.server.client.time()
        return from_ms(seconds * 1000 + microseconds // 1000)

    def close(self) -> None:
        """Give the connections back."""
        self.server.close()


def open_store(
    url: str, key_prefix: str = "stl", confirm_replicas: int = 0, vault: Vault = PLAIN
) -> RedisStore:
    """The store at an address. Nothing is sent before the first use. Raises ValueError for an address that is none.

    `confirm_replicas`: how many replicas must hold what `confirm` and confirmed changes are about (STL_CONFIRM_REPLICAS).
    `vault` encrypts what is personal, and reads what was encrypted.
    """
    return RedisStore(connect(url), key_prefix, confirm_replicas, vault)
