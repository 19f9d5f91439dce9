"""How many bytes of bodies this process holds at once: a thousand senders with a mebibyte each must not be its end.

What is counted is what has arrived, never what a sender says will: else whoever announces much and sends nothing would
keep the others out.
"""

from types import TracebackType
from typing import Self


class Room:
    """Room for `most` bytes of bodies, from the first byte until their request is answered."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.held = 0

    def hold(self) -> "Held":
        """What one request holds of it: nothing yet. Given back at the end of the `with`."""
        return Held(self)


class Held:
    """One request's part of the room."""

    __slots__ = ("_bytes", "_room")

    def __init__(self, room: Room) -> None:
        self._room = room
        self._bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._room.held -= self._bytes

    def add(self, count: int) -> bool:
        """Whether there is room for so many bytes more; then they are held."""
        if self._room.held + count > self._room.most:
            return False
        self._room.held += count
        self._bytes += count
        return True
