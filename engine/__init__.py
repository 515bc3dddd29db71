"""The pinned Pulumi engine: where each piece comes from, and how to build it offline.

`python -m engine ensure` makes the pieces named in ``pins.toml`` available: an installed
Pulumi, the official download, or a build from public Go modules. ``python -m engine env``
prints the shell lines that put them to use.
"""
