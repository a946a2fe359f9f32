"""Logs on stderr: JSON for machines, colours for people; every event with its ids, no secret in any of them.

What libraries log by the standard library's way (a web server's errors, say) goes the same way from its level on.
"""

import logging
import sys
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from trueup.core.decimals import plain
from trueup.ports.secrets import Secrets
from trueup.service import events

_NUMBERS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_LIBRARIES_FROM = logging.WARNING
"""Libraries are only heard from here on, whatever our own level is: at `info` they tell what nobody asked for."""


def start_logs(
    level: str | None, form: str = "auto", secrets: Iterable[str] = (), stream: TextIO | None = None
) -> None:
    """Log from a level on (None: nothing at all); `form` is json, text or auto, which is text on a terminal."""
    if level is None:
        events.listen_only(None)
        return
    out = stream if stream is not None else sys.stderr
    as_text = form == "text" or (form == "auto" and out.isatty())
    chain: list[Processor] = [_with_ids, _plain_values, _masked(Secrets(secrets))]
    last: Processor = (
        _people(out) if as_text else structlog.processors.JSONRenderer(sort_keys=False, ensure_ascii=False)
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_log_level, _STAMP, _TRACEBACKS],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *chain, _ordered, last],
        )
    )
    _take_over(handler)
    logger = structlog.wrap_logger(
        logging.getLogger("trueup"),
        processors=[
            structlog.stdlib.add_log_level, _STAMP, _TRACEBACKS,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_NUMBERS[level]),
    )  # fmt: skip
    events.listen_only(_teller(logger))


def _take_over(handler: logging.Handler) -> None:
    """Make this the only handler of the program, and let our own logger through: structlog filters it."""
    root = logging.getLogger()
    for old in root.handlers[:]:
        if isinstance(old.formatter, structlog.stdlib.ProcessorFormatter):
            root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(_LIBRARIES_FROM)
    logging.getLogger("trueup").setLevel(logging.DEBUG)


def _teller(logger: Any) -> events.Listener:
    def tell(event: events.Event, said: Mapping[str, object]) -> None:
        getattr(logger, event.level)(event.name, **said)

    return tell


_STAMP = structlog.processors.TimeStamper(fmt="iso", utc=True)
_TRACEBACKS = structlog.processors.format_exc_info
"""Text before anything is masked: a traceback may hold a secret, too."""


def _people(out: TextIO) -> Processor:
    return structlog.dev.ConsoleRenderer(
        colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback, pad_event_to=24
    )


def _with_ids(_: WrappedLogger, __: str, said: EventDict) -> EventDict:
    """Add the ids of what is going on to what a library logs; our own events have them already."""
    for name, value in events.current_ids().items():
        said.setdefault(name, value)
    return said


def _plain_values(_: WrappedLogger, __: str, said: EventDict) -> EventDict:
    return {name: _plain(value) for name, value in said.items()}


def _plain(value: object) -> object:
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in (sorted(value, key=str) if isinstance(value, (set, frozenset)) else value)]
    return str(value)


def _masked(secrets: Secrets) -> Processor:
    def mask(value: object) -> object:
        if isinstance(value, str):
            return secrets.mask(value)
        if isinstance(value, dict):
            return {key: mask(item) for key, item in value.items()}
        return [mask(item) for item in value] if isinstance(value, list) else value

    def masked(_: WrappedLogger, __: str, said: EventDict) -> EventDict:
        return {name: mask(value) for name, value in said.items()}

    return masked


def _ordered(_: WrappedLogger, __: str, said: EventDict) -> EventDict:
    """Put first what every line has."""
    first = [name for name in ("timestamp", "level", "event", "cycle_id", "run_id") if name in said]
    return {name: said[name] for name in (*first, *(name for name in said if name not in first))}
