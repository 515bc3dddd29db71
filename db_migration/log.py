"""Structured logs on stderr: one line an event, for people on a terminal and as JSON elsewhere."""

from __future__ import annotations

import sys

import structlog


def configure(*, people: bool | None = None) -> None:
    """Set up logging for a process; data go to stdout, logs never do.

    Without `people`, a terminal decides.
    """
    people = sys.stderr.isatty() if people is None else people
    renderer = structlog.dev.ConsoleRenderer() if people else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
