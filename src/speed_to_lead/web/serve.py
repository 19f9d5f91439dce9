"""The web process: bind the port, run until told to stop, finish what is under way."""

import errno
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from types import FrameType
from typing import NoReturn

import structlog
import uvicorn

from speed_to_lead.settings import Settings, SettingsError
from speed_to_lead.store.intake import Intake
from speed_to_lead.web.app import create_app
from speed_to_lead.workplace import open_workplace

log = structlog.get_logger()

#: Requests under way when the process is told to stop get this long; with the closing of connections it stays under 10.
GRACEFUL_SECONDS = 8
#: Longer than the idle time of the usual load balancers (60 s): whoever closes first must not be us.
KEEP_ALIVE_SECONDS = 75
BACKLOG = 2048


def serve(
    settings: Settings, hint: Callable[[], None] | None = None, environment: Mapping[str, str] = os.environ
) -> None:
    """Serve until SIGTERM or SIGINT, then return. Ends the process with code 2 and one sentence where it cannot listen.

    Raises SettingsError and ConfigError as `open_workplace` does.
    """
    place = open_workplace(settings)
    url = settings.server_url
    if url is None:  # it went away since
        raise SettingsError("no server: REDIS_URL is not set")
    listener = bind(settings)
    app = create_app(place, settings, Intake(url, settings.key_prefix), hint, environment)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            loop="uvloop",
            http="httptools",
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
    host, port = listener.getsockname()[:2]
    log.info("web.listening", host=host, port=port)
    with listener:
        server.run(sockets=[listener])


def bind(settings: Settings) -> socket.socket:
    """The listening socket. Ends the process with code 2 and one sentence where the address cannot be had."""
    host, port = settings.host, settings.port
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
        _give_up(f"port {port} may not be used without more rights; set PORT to one above 1023")
    except socket.gaierror:
        _give_up(
            "STL_HOST is not an address of this machine; 127.0.0.1 listens here only, 0.0.0.0 everywhere"
        )
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            _give_up(f"port {port} on {host} is in use; stop what listens there, or set PORT to another one")
        _give_up(f"cannot listen on {host} port {port}: {error.strerror or type(error).__name__}")


def _give_up(sentence: str) -> NoReturn:
    print(f"speed-to-lead: {sentence}", file=sys.stderr)  # noqa: T201 - the last word of a process that never ran
    raise SystemExit(2)


def _stop_on_signals(server: uvicorn.Server) -> None:
    """A signal is an order, not a failure: uvicorn raises it again when it is done, and it must find a handler then."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
