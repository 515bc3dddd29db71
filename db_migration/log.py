"""Structured logs on stderr: one line an event, for people on a terminal and as JSON elsewhere."""

from __future__ import annotations

import sys
import threading
import traceback

import structlog

from db_migration import secrecy


def configure(*, people: bool | None = None) -> None:
    """Set up logging for a process; data go to stdout, logs never do.

    Without `people`, a terminal decides. What nobody has caught is logged as well, masked.
    """
    people = sys.stderr.isatty() if people is None else people
    renderer = structlog.dev.ConsoleRenderer() if people else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            secrecy.processor,
            renderer,
        ],
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    threading.excepthook = _of_a_thread


def _of_a_thread(args: threading.ExceptHookArgs) -> None:
    """Log what ended a thread; without this it goes to stderr as it is."""
    found = "".join(traceback.format_exception(args.exc_value)) if args.exc_value else ""
    name = args.thread.name if args.thread is not None else ""
    structlog.get_logger().error("a thread has ended", thread=name, exception=found)
