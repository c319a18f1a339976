"""Logging: one line per event, JSON in a pod and plain text on a terminal, redacted last of all.

Everything that any library logs through the standard library takes the same road, so nothing is
printed unredacted. The event is a constant, facts are keys; untrusted text is only ever a value.
uvicorn must be started with ``log_config=None``, or it would set up its own.
"""

import datetime as dt
import logging
import sys
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, TextIO

import structlog

from opsagent.model.canonical import instant
from opsagent.ports import Clock

# Their info lines repeat what we log ourselves, or print whole requests.
QUIET_LOGGERS = ("aiohttp", "apscheduler", "asyncio", "httpx2", "kubernetes", "uvicorn")
DEPTH_MAX = 8
_EventDict = MutableMapping[str, Any]


def configure(
    clock: Clock,
    redact: Callable[[str], str],
    *,
    is_json: bool,
    level: int = logging.INFO,
    stream: TextIO | None = None,
) -> None:
    """Set up structlog and the root logger; the last call counts.

    ``redact`` is applied to every text of a line, tracebacks included, after everything else and
    before rendering. ``clock`` stamps the lines. ``stream`` is stderr unless given.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        _stamp(clock),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,  # loggers made at import must follow a later configure
    )
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(sort_keys=True)
        if is_json
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _redaction(redact),
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def _stamp(clock: Clock) -> structlog.typing.Processor:
    def stamp(_logger: Any, _method: str, event: _EventDict) -> _EventDict:  # noqa: ANN401 - structlog's
        event["timestamp"] = instant(clock.now())
        return event

    return stamp


def _redaction(redact: Callable[[str], str]) -> structlog.typing.Processor:
    def redaction(_logger: Any, _method: str, event: _EventDict) -> _EventDict:  # noqa: ANN401 - structlog's
        return {key: _redacted(value, redact, DEPTH_MAX) for key, value in event.items()}

    return redaction


def _redacted(value: object, redact: Callable[[str], str], depth: int) -> object:
    """Return ``value`` as plain JSON values with every text redacted; what is deeper than ``depth`` is left out."""
    match value:
        case None | bool() | int() | float():
            return value
        case dt.datetime():
            return instant(value)
        case Mapping() | list() | tuple() | set() | frozenset() if depth == 0:
            return "..."
        case Mapping():
            return {
                redact(str(key)): _redacted(item, redact, depth - 1) for key, item in value.items()
            }
        case list() | tuple() | set() | frozenset():
            return [_redacted(item, redact, depth - 1) for item in value]
        case _:
            return redact(str(value))
