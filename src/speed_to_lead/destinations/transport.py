"""The way httpx reaches the network here: its own way, but no step takes longer than the deadline of the send allows.

httpx has timeouts per phase only, and each read has a whole one to itself (encode/httpx#1450). httpcore, beneath it,
takes a network backend, where every connect, handshake, read and write passes by; httpx has no way to hand one in, so
this is httpx's HTTPTransport over again, on the public names of both.

One gap is left: TLS inside the TLS of an `https://` proxy reads in a loop of httpcore's own.
"""

import importlib
import ssl
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from math import inf
from types import MappingProxyType
from typing import Any, Final

import httpcore
import httpx

# The one private name: how httpx reads HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY. It does so by itself only for a
# client without a transport of its own.
from httpx._utils import get_environment_proxies

from speed_to_lead.destinations.deadline import addresses_of, time_left

#: Little enough to fit into a socket's buffer at once, so that each piece is one step with a timeout of its own.
_PIECE: Final = 4096

_NAMES: Final = (
    "TimeoutException", "PoolTimeout", "ConnectTimeout", "ReadTimeout", "WriteTimeout",
    "NetworkError", "ConnectError", "ReadError", "WriteError",
    "ProxyError", "UnsupportedProtocol", "ProtocolError", "LocalProtocolError", "RemoteProtocolError",
)  # fmt: skip
HTTPX_FOR: Final[Mapping[type[Exception], type[httpx.TransportError]]] = MappingProxyType(
    {getattr(httpcore, name): getattr(httpx, name) for name in _NAMES}
)
_RAISED: Final = tuple(HTTPX_FOR)


def new_transports(limits: httpx.Limits) -> tuple[httpx.BaseTransport, dict[str, httpx.BaseTransport | None]]:
    """The transport to use, and those to use instead where the environment names proxies, as `mounts` of a client."""
    context = httpx.create_ssl_context()
    mounts: dict[str, httpx.BaseTransport | None] = {
        pattern: None if proxy is None else DeadlineTransport(limits, context, httpx.Proxy(proxy))
        for pattern, proxy in get_environment_proxies().items()
    }
    return DeadlineTransport(limits, context), mounts


class DeadlineTransport(httpx.BaseTransport):
    """A pool of connections on which nothing outlasts the deadline of the send. Raises httpx's exceptions."""

    def __init__(
        self, limits: httpx.Limits, context: ssl.SSLContext, proxy: httpx.Proxy | None = None
    ) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            proxy=None if proxy is None else _proxy(proxy),
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=DeadlineBackend(),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The answer as soon as its headers are there; its body is read by whoever iterates over it."""
        passed_on = httpcore.Request(
            method=request.method,
            url=httpcore.URL(
                scheme=request.url.raw_scheme,
                host=request.url.raw_host,
                port=request.url.port,
                target=request.url.raw_path,
            ),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with _as_httpx():
            response = self._pool.handle_request(passed_on)
        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=_Body(response),
            extensions=response.extensions,
        )

    def close(self) -> None:
        """Closes every connection."""
        self._pool.close()


class DeadlineBackend(httpcore.SyncBackend):
    """httpcore's own backend; `timeout` is for each address of a host, the deadline for all of them."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """A connection to the first address that takes one."""
        try:
            addresses = addresses_of(host, port)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(error) from error
        except OSError as error:
            raise httpcore.ConnectError(error) from error
        failure: Exception = httpcore.ConnectError("the host has no address")
        for address in addresses:
            seconds = _within(timeout, httpcore.ConnectTimeout)
            try:
                return _Stream(super().connect_tcp(address, port, seconds, local_address, socket_options))
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _within(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _PIECE):
            self._inner.write(buffer[start : start + _PIECE], _within(timeout, httpcore.WriteTimeout))

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        try:
            seconds = _within(timeout, httpcore.ConnectTimeout)
        except httpcore.ConnectTimeout:
            self.close()  # as the inner one does when a handshake fails
            raise
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, seconds))

    def close(self) -> None:
        self._inner.close()

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Body(httpx.SyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        with _as_httpx():
            for chunk in self._response.iter_stream():
                # In pieces, for httpx unpacks each as a whole: what was packed well could be a thousand times as large.
                for start in range(0, len(chunk), _PIECE):
                    yield chunk[start : start + _PIECE]

    def close(self) -> None:
        with _as_httpx():
            self._response.close()


def _within(timeout: float | None, late: type[httpcore.TimeoutException]) -> float | None:
    """The timeout, or what is left of the send where that is less; never 0, which would mean: do not wait."""
    try:
        seconds = time_left(inf if timeout is None else timeout)
    except TimeoutError as error:
        raise late(error) from error
    return None if seconds == inf else seconds


@contextmanager
def _as_httpx() -> Iterator[None]:
    try:
        yield
    except _RAISED as error:
        known = next(cls for cls in type(error).__mro__ if cls in HTTPX_FOR)
        raise HTTPX_FOR[known](str(error)) from error


def _proxy(proxy: httpx.Proxy) -> httpcore.Proxy:
    if proxy.url.scheme.startswith("socks"):
        importlib.import_module("socksio")  # missing: let the process not start, rather than each send fail
    url = httpcore.URL(
        scheme=proxy.url.raw_scheme, host=proxy.url.raw_host, port=proxy.url.port, target=proxy.url.raw_path
    )
    return httpcore.Proxy(url, auth=proxy.raw_auth, headers=proxy.headers.raw, ssl_context=proxy.ssl_context)
