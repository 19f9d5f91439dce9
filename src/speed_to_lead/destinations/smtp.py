"""smtplib's client, in which every step ends with the deadline of the send.

smtplib has one timeout, for each read and write anew: a server that says a line every few seconds, or a byte, is never
too slow for it.
"""

import io
import smtplib
import socket
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from speed_to_lead.destinations.deadline import addresses_of, time_left

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

CONNECT_SECONDS: Final = 3.0  # for each address of the server
REPLIES_LIMIT: Final = 65_536  # bytes; the replies of a conversation are a few hundred
_PIECE: Final = 4096  # sendall on a TLS socket has its timeout for each piece, not for all of them


class DeadlineSmtp(smtplib.SMTP):
    """Connects at once, with TLS from the first byte where `tls` is given. Raises what smtplib raises: OSErrors."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None) -> None:
        self._tls = tls
        # smtplib would ask DNS for our own full name, without a time limit; a host without a dotted name gives its
        # address literal instead (RFC 5321 §4.1.3).
        hostname = socket.gethostname()
        super().__init__(host, port, hostname if "." in hostname else "[127.0.0.1]")

    def connect(
        self,
        host: str = "localhost",
        port: int = 0,
        source_address: object = None,  # noqa: ARG002 - smtplib's signature; nobody here has one
    ) -> tuple[int, bytes]:
        """The greeting of the first address that takes the connection; smtplib calls this from its constructor."""
        connection = _connection(host, port)
        if self._tls is not None:
            connection = _with_tls(connection, self._tls, host)
        self.sock, self.file = connection, None
        return self.getreply()

    def send(self, s: "ReadableBuffer | str") -> None:
        """Sends all of it, or raises."""
        data = s.encode(self.command_encoding) if isinstance(s, str) else bytes(s)
        for start in range(0, len(data), _PIECE):
            if self.sock is not None:
                self.sock.settimeout(time_left())
            super().send(data[start : start + _PIECE])

    def getreply(self) -> tuple[int, bytes]:
        """One reply of the server's, of one line or many."""
        if self.sock is not None and self.file is None:
            self.file = io.BufferedReader(_Replies(self.sock))
        reply = super().getreply()
        if self.sock is not None:  # STARTTLS shakes hands next, with the timeout that it finds on the socket
            with suppress(
                TimeoutError
            ):  # a reply that came in time counts; the next step finds the time is up
                self.sock.settimeout(time_left())
        return reply


class _Replies(io.RawIOBase):
    """What the server says; each read has what is left of the time."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._read = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        if self._read > REPLIES_LIMIT:
            raise OSError("the server does not stop talking")
        self._sock.settimeout(time_left())
        count = self._sock.recv_into(buffer)
        self._read += count
        return count


def _connection(host: str, port: int) -> socket.socket:
    failure = OSError("the host has no address")
    for address in addresses_of(host, port):
        try:
            return socket.create_connection((address, port), time_left(CONNECT_SECONDS))
        except OSError as error:
            failure = error
    raise failure


def _with_tls(connection: socket.socket, context: ssl.SSLContext, host: str) -> ssl.SSLSocket:
    try:
        connection.settimeout(time_left())  # OpenSSL's handshake has one timeout for all its reads
        return context.wrap_socket(connection, server_hostname=host)
    except (OSError, ValueError):
        connection.close()
        raise
