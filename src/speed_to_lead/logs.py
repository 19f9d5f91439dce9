"""Logs are events with fields, one JSON object a line when not on a terminal. No personal data, no secrets."""

import json
import logging
import re
import sys
from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import Any, Literal, TextIO

import orjson
import structlog
from structlog.typing import EventDict, WrappedLogger

#: Any URL in a log keeps its scheme and host only: webhook addresses carry their secret in the path or query.
#: User and password go too, as far as the last @ of a server's address: people paste passwords with any character.
_HOST = r"([\w.-]+(?::\d+)?|\[[^\]\s]*\](?::\d+)?)?[^\s'\"]*"
_WEB_URL = re.compile(rf"\b(https?://)(?:[^\s/@'\"]*@)?{_HOST}", re.IGNORECASE)
_SERVER_URL = re.compile(rf"\b((?!https?:)[a-z][a-z0-9+.-]*://)(?:\S*@)?{_HOST}", re.IGNORECASE)

#: These libraries log full URLs (httpx: every request, at INFO), one line per task, or what we say ourselves.
_QUIET = (
    "httpx",
    "httpcore",
    "celery.worker.strategy",
    "celery.worker.request",
    "celery.app.trace",
    "celery.beat",
    "kombu",
    "uvicorn",
)
#: kombu warns that a stopping worker gives back what it holds, as it should. Python's warnings are for developers:
#: our tests raise them, and Celery repeats one at every lost connection, whatever filter is set before it starts.
_QUIETER = ("kombu.transport.virtual.base", "py.warnings")


def redacted(text: str) -> str:
    """The text with every URL cut to scheme and host."""
    return _WEB_URL.sub(r"\1\2/…", _SERVER_URL.sub(r"\1\2/…", text))


def set_up_logs(level: str = "info", log_format: Literal["auto", "json", "console"] = "auto") -> None:
    """Send our events and other libraries' records to stderr, in one format."""
    terminal = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=True, pad_event_to=22)
        if terminal
        else structlog.processors.JSONRenderer(serializer=_in_ascii)
    )
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        *([] if terminal else [structlog.processors.TimeStamper(fmt="iso", utc=True)]),
        structlog.processors.StackInfoRenderer(),
        _errors_by_kind,
        _without_secrets,
    ]
    handler = logging.StreamHandler(sys.stderr)
    lines = _Lines(handler)
    # Past Python's own logging, where a line is rendered twice and made into a record: that is half of what one costs.
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=True,
    )
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_first_line, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _QUIETER:
        logging.getLogger(name).setLevel(logging.ERROR)


def _in_ascii(event: EventDict, default: Callable[[Any], Any]) -> str:
    """One line of JSON in which nothing can order a terminal or forge a line."""
    try:  # not into our values: they leave secrets out of their repr, which `default` asks for
        text = orjson.dumps(event, default=default, option=orjson.OPT_PASSTHROUGH_DATACLASS).decode()
    except TypeError:  # half a character, a huge number
        text = ""
    return text if text.isascii() and text else json.dumps(event, default=default)


class _Lines:
    """Writes our events as rendered, where other libraries' records go. A log that cannot be written stops nobody."""

    def __init__(self, handler: "logging.StreamHandler[TextIO]") -> None:
        self._handler = handler

    def write(self, line: str) -> None:
        with (
            self._handler.lock or nullcontext(),
            suppress(OSError, ValueError),
        ):  # a full disk, a closed terminal
            self._handler.stream.write(f"{line}\n")
            self._handler.flush()

    debug = info = warning = error = critical = exception = fatal = msg = log = write


def _first_line(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Another library's record without what follows its first line: Celery's beat puts whole tracebacks there."""
    event["event"] = str(event.get("event", "")).strip().partition("\n")[0].rstrip()
    return event


def _errors_by_kind(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """An exception becomes its kind and where it was raised; its text may quote a lead, so it is left out."""
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    if isinstance(info, BaseException):
        info = (type(info), info, info.__traceback__)
    if isinstance(info, tuple) and info[0] is not None:
        event["error"] = info[0].__name__
        trace = info[2]
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        if trace is not None:
            code = trace.tb_frame.f_code
            event["at"] = f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno} {code.co_name}"
    return event


def _without_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    for name, value in event.items():
        if type(value) is not str:
            if not name.startswith("_"):  # structlog's own
                event[name] = _redacted(value)
        elif "://" in value:
            event[name] = redacted(value)
    return event


def _redacted(value: Any) -> Any:
    match value:
        case str():
            return redacted(value) if "://" in value else value
        case dict():
            return {name: _redacted(part) for name, part in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_redacted(part) for part in value]
        case _:
            return value
