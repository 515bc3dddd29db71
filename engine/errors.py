"""Errors of the engine set-up, worded for the person who has to act."""

from __future__ import annotations


class EngineError(RuntimeError):
    """Something the engine needs is not there, or a step failed.

    Every message has three parts: what was found, what is needed, and the way out.
    """

    def __init__(self, found: str, needed: str, way_out: str) -> None:
        """Join the three parts into one message and keep them as attributes."""
        super().__init__(f"{found}\n  needed:  {needed}\n  way out: {way_out}")
        self.found = found
        self.needed = needed
        self.way_out = way_out
