"""How many connections a process may have at a time."""

from speed_to_lead.destinations.http import LIMITS
from speed_to_lead.worker.couriers import THREADS


def test_each_courier_may_have_a_connection_of_its_own() -> None:
    """Destinations that hang hold as many as they have couriers: whoever comes then must not wait for one of theirs."""
    assert (THREADS, THREADS) == (LIMITS.max_connections, LIMITS.max_keepalive_connections)
