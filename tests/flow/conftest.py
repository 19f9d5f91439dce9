"""A scene on each kind of store; `scene` is each of the three in turn."""

import pytest
from tests.flow.scene import Scene, new_scene
from tests.servers import ManualClock

from speed_to_lead.flow import waiting
from speed_to_lead.store.contract import Store
from speed_to_lead.store.memory import MemoryStore
from speed_to_lead.store.redis_store import RedisStore


@pytest.fixture(autouse=True)
def enough_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one sweep hands out is all there is, however busy the machine; half a second is what a clock can spare."""
    monkeypatch.setattr(waiting, "HAND_OUT_SECONDS", 60.0)


@pytest.fixture
def scene(store: Store, clock: ManualClock) -> Scene:
    """A scene on each kind of store in turn."""
    return new_scene(store, clock)


@pytest.fixture
def memory_scene(memory_store: MemoryStore, clock: ManualClock) -> Scene:
    """A scene in memory."""
    return new_scene(memory_store, clock)


@pytest.fixture
def real_scene(redis_store: RedisStore, clock: ManualClock) -> Scene:
    """A scene on the real server."""
    return new_scene(redis_store, clock)
