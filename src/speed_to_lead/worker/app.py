"""The Celery application: `celery -A speed_to_lead.worker.app worker -Q route`. One file owns all of its settings.

A message here is a hint: lost, late or doubled, it costs at most the next tick. So there are no ETAs, no countdowns,
no results, and nothing is acknowledged late. What was measured, and why each setting is as it is:
docs/decisions/0002-celery-carries-hints.md.
"""

import sys
import time
import warnings
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn
from urllib.parse import quote

import structlog
from celery import Celery
from celery.app.amqp import AMQP
from celery.exceptions import SecurityWarning
from celery.schedules import schedule
from celery.signals import setup_logging
from kombu.connection import Connection
from kombu.transport.redis import SentinelChannel

from speed_to_lead.address import sentinel_address
from speed_to_lead.logs import set_up_logs
from speed_to_lead.settings import NO_SERVER, Settings, SettingsError, load_settings
from speed_to_lead.store.keys import Keys
from speed_to_lead.store.server import leaving_a_former_primary, sentinel_options

log = structlog.get_logger()

# Celery warns root of unpickling what others send; this application reads JSON and nothing else.
warnings.filterwarnings("ignore", category=SecurityWarning)

#: The clock looks this often, in seconds: the most by which a decision is late. An empty look costs two commands.
#: Short tasks often, not long ones that watch: a solo worker that was busy for half a second takes its next message
#: up to a second later (celery 5.6.3, kombu 5.7.0).
SWEEP_EVERY = 0.25
AUDIT_EVERY = 2.0
#: Form tools that send ids only are asked this soon. An empty look costs two commands.
FETCH_EVERY = 1.0
#: And the lists of form tools are compared at night; whose night it is, is looked at this often. A look costs one command.
RECONCILE_EVERY = 60.0
#: What is past its age goes a batch at a time: at this pace a million leads are walked in about an hour.
EXPIRE_EVERY = 5.0
#: Silence is hours long before it is told. Half a percent of the clock's time: 10,000 leads are walked in two minutes.
ARRIVALS_EVERY = 10.0
#: And over the submissions that could not be read.
BURIALS_EVERY = 5.0
#: Ticks that nobody took for so long are dropped unread. Celery compares the clock of the host that sent a tick with
#: that of the host that takes it, so this must be far more than clocks differ by; a tick in vain is cheap.
TICK_EXPIRES = 300.0


# Else the beat stays with a primary that came back from a freeze for the ten seconds until it is demoted, and no tick
# reaches anybody.
SentinelChannel.connection_class = leaving_a_former_primary(SentinelChannel.connection_class)
SentinelChannel.connection_class_ssl = leaving_a_former_primary(SentinelChannel.connection_class_ssl)

#: Seconds between two attempts to reach a server that is away: the first, how much longer each next one, the longest.
RECONNECT = {"interval_start": 0.2, "interval_step": 0.2, "interval_max": 1.0}


class PromptConnection(Connection):
    """A broker connection that comes back soon after the server does.

    Workers and beat pass no pauses to `ensure_connection`, and no setting reaches it (celery 5.6.3,
    `Consumer.ensure_connected`, `Scheduler._ensure_connected`): kombu's own grow by two seconds to half a minute, so
    that after an outage of minutes nothing would be routed for up to 30 s more.
    """

    def ensure_connection(self, *args: Any, **options: Any) -> Any:
        """Try until it is there, once a second at least."""
        return super().ensure_connection(*args, **(RECONNECT | options))  # type: ignore[no-untyped-call]


class PromptAMQP(AMQP):  # type: ignore[misc]
    """Celery's own way to its broker, with those connections."""

    Connection = PromptConnection


def make_app(settings: Settings) -> Celery:
    """The application on the server of these settings."""
    app = Celery("speed-to-lead", include=["speed_to_lead.worker.tasks"], amqp=PromptAMQP)
    url = settings.server_url or ""
    app.conf.update(
        broker_url=_broker_url(url),
        broker_use_ssl=_broker_tls(url),
        broker_transport_options={
            **_sentinel_transport(url),
            "global_keyprefix": Keys(settings.key_prefix).broker,
            "socket_timeout": 5,
            "socket_connect_timeout": 3,
            "socket_keepalive": True,
            "health_check_interval": 10,
            "visibility_timeout": 60,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
        },
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,  # never give up
        # A server that takes no writes for a while (NOREPLICAS or READONLY after a failover, full, its disk in trouble) is
        # waited for like one that is away. Otherwise every worker ends at its first refusal, and a platform that backs
        # off starts it again minutes too late.
        broker_channel_error_retry=True,
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        task_default_queue="route",
        task_create_missing_queues=True,
        task_publish_retry=False,
        task_routes={
            "speed_to_lead.route*": {"queue": "route"},
            "speed_to_lead.sweep": {"queue": "clock"},
            "speed_to_lead.audit": {"queue": "clock"},
            "speed_to_lead.expire": {"queue": "clock"},
            "speed_to_lead.arrivals": {"queue": "clock"},
            "speed_to_lead.burials": {"queue": "clock"},
            "speed_to_lead.deliver*": {"queue": "deliver"},
            "speed_to_lead.fetch": {"queue": "deliver"},
            "speed_to_lead.reconcile": {"queue": "deliver"},
        },
        # No limit: a solo worker runs each message as it comes, so none waits in it. With a limit, a message whose
        # acknowledgement met a server that was away counts for ever, and the worker never takes another one.
        worker_prefetch_multiplier=0,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_enable_remote_control=False,  # two more connections and a queue per worker, for nothing we use
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_soft_shutdown_timeout=20,
        beat_schedule={
            "route": _every(1.0, "route_tick"),
            "sweep": _every(SWEEP_EVERY, "sweep"),
            "deliver": _every(1.0, "deliver"),
            "fetch": _every(FETCH_EVERY, "fetch"),
            "reconcile": _every(RECONCILE_EVERY, "reconcile"),
            "audit": _every(AUDIT_EVERY, "audit"),
            "expire": _every(EXPIRE_EVERY, "expire"),
            "arrivals": _every(ARRIVALS_EVERY, "arrivals"),
            "burials": _every(BURIALS_EVERY, "burials"),
        },
        beat_max_loop_interval=SWEEP_EVERY,
        beat_scheduler="celery.beat:Scheduler",  # in memory: ticks of a second need no file to be remembered in
        timezone="UTC",
    )
    return app


def _every(seconds: float, task: str) -> dict[str, Any]:
    return {
        "task": f"speed_to_lead.{task}",
        "schedule": schedule(timedelta(seconds=seconds), nowfun=_steady_now),
        "options": {"expires": TICK_EXPIRES},
    }


def _steady_now() -> datetime:
    """The time, never going back: on the host's own clock the beat would stand still for as long as it is set back."""
    return _STARTED + timedelta(seconds=time.monotonic() - _STARTED_MONOTONIC)


_STARTED, _STARTED_MONOTONIC = datetime.now(UTC), time.monotonic()


def _broker_url(url: str) -> str:
    """The same address as Celery writes it: unix sockets have another scheme there, and each Sentinel its own address."""
    address = sentinel_address(url) if url else None
    if address is None:
        return url.replace("unix://", "redis+socket://", 1)
    user, password = quote(address.username or "", safe=""), quote(address.password or "", safe="")
    login = f"{user}:{password}@" if user or password else ""
    hosts = [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in address.sentinels]
    return ";".join(f"sentinel://{login}{host}/{address.db}" for host in hosts)


def _sentinel_transport(url: str) -> dict[str, Any]:
    """What the broker's connection must know of Sentinels; nothing where the address is that of one server."""
    address = sentinel_address(url) if url else None
    if address is None:
        return {}
    return {"master_name": address.service, "sentinel_kwargs": sentinel_options(address)}


def _broker_tls(url: str) -> dict[str, Any] | None:
    """The TLS options of Sentinels' servers; those of a single server stand in its address."""
    address = sentinel_address(url) if url else None
    return {"ssl_cert_reqs": "required", **address.tls_options} if address and address.is_tls else None


def _settings() -> Settings:
    try:
        settings = load_settings()
    except SettingsError as error:
        _refuse(str(error))
    if settings.server_url is None:
        _refuse(NO_SERVER.format(settings.data_dir))
    return settings


def _refuse(sentence: str) -> NoReturn:
    print(f"speed-to-lead: {sentence}", file=sys.stderr)  # noqa: T201 - the last word of a process that never ran
    raise SystemExit(2)


@setup_logging.connect  # type: ignore[untyped-decorator]
def _set_up_logs(**_: Any) -> None:
    settings = _settings()
    set_up_logs(settings.log_level, settings.log_format)


app = make_app(_settings())
