"""Copies on an interval, for a prod that may not be restarted."""
