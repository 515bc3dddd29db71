"""Strict stand-in of `abctl` v0.30.4, for hosts where kind and Airbyte's charts cannot be had.

It takes exactly the real commands and flags, reads the values file as the charts do, and starts a
lab node instead of a kind cluster. No line of abctl, kind, Helm or the charts is in here.
"""
