"""What the lab says when it can not go on."""


class LabError(Exception):
    """A state the lab can not mend by itself: what was found, what is needed, the way out."""

    def __init__(self, *, found: str, needed: str, way_out: str) -> None:
        """Keep the three parts apart so that `--json` can show them."""
        self.found = found
        self.needed = needed
        self.way_out = way_out
        super().__init__(f"{found}\nneeded: {needed}\nway out: {way_out}")
