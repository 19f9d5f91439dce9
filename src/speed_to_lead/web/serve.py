"""The web process: bind the port, run until told to stop, finish what is under way."""

import errno
import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from types import FrameType

import structlog
import uvicorn

from speed_to_lead.settings import Settings, SettingsError
from speed_to_lead.store.intake import Intake
from speed_to_lead.web.app import create_app
from speed_to_lead.web.protocol import LimitedHttp
from speed_to_lead.workplace import Workplace, vault_of

log = structlog.get_logger()

#: Requests under way when the process is told to stop get this long; with the closing of connections it stays under 10.
GRACEFUL_SECONDS = 8
#: Longer than the idle time of the usual load balancers (60 s): whoever closes first must not be us.
KEEP_ALIVE_SECONDS = 75
BACKLOG = 2048


def serve(
    place: Workplace,
    settings: Settings,
    hint: Callable[[], None] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> int:
    """Serve until SIGTERM or SIGINT; the exit code: 0, or 2 and one sentence where it cannot listen.

    `hint` tells the router that submissions wait. Raises SettingsError where no server is known.
    """
    url = settings.server_url
    if url is None:
        raise SettingsError("no server: set REDIS_URL, or start `speed-to-lead up`")
    try:
        listener = bind(settings)
    except CannotListen as error:
        print(f"speed-to-lead: {error}", file=sys.stderr)  # noqa: T201 - the last word of a process that never ran
        return 2
    intake = Intake(url, settings.key_prefix, settings.confirm_replicas, vault_of(settings))
    app = create_app(place, settings, intake, hint, dict(environment))  # os.environ decodes anew at each look
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            loop="uvloop",
            http=LimitedHttp,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=True,  # trusted from 127.0.0.1, or from the addresses in FORWARDED_ALLOW_IPS
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=GRACEFUL_SECONDS,
            backlog=BACKLOG,
        )
    )
    if threading.current_thread() is threading.main_thread():
        _stop_on_signals(server)
    gc.collect()
    gc.freeze()  # what is loaded now stays: the collector need not walk it again and again
    host, port = listener.getsockname()[:2]
    log.info("web.listening", host=host, port=port)
    with listener:
        server.run(sockets=[listener])
    return 0


class CannotListen(Exception):
    """The address cannot be had; the text says why and what to do."""


def bind(settings: Settings) -> socket.socket:
    """The listening socket. Raises CannotListen with one sentence on what to do."""
    host, port = settings.listen_host, settings.port
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        is_any = family == socket.AF_INET6 and host == "::"
        return socket.create_server(
            (host, port),
            family=family,
            backlog=BACKLOG,
            dualstack_ipv6=is_any and socket.has_dualstack_ipv6(),
        )
    except PermissionError:
        raise CannotListen(
            f"port {port} may not be used without more rights; set PORT to one above 1023"
        ) from None
    except socket.gaierror:
        raise CannotListen(
            "STL_HOST is not an address of this machine; 127.0.0.1 listens here only, 0.0.0.0 everywhere"
        ) from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CannotListen(
                f"port {port} on {host} is in use; stop what listens there, or set PORT to another one"
            ) from None
        raise CannotListen(
            f"cannot listen on {host} port {port}: {error.strerror or type(error).__name__}"
        ) from None


def _stop_on_signals(server: uvicorn.Server) -> None:
    """A signal is an order, not a failure: uvicorn raises it again when it is done, and it must find a handler then."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
