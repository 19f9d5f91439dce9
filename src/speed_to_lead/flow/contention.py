"""A decision made on facts that changed meanwhile is refused, and made again: how often, and what then."""

#: Refused as stale this often in a row means that something else is wrong.
MAX_ROUNDS = 50


class Contended(RuntimeError):
    """The lead changed under every one of many decisions; try again."""
